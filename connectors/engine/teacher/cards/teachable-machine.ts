import { isNumber, labelsIn, type JsonObject, type ToldCard } from "./told-card.js";

/** The metadata.json that Teachable Machine writes beside model.json. Null for anything else. */
export function readTeachableMachine(json: JsonObject, from: string): ToldCard | null {
  if (!("tmVersion" in json) && !/teachablemachine/.test(String(json["packageName"]))) return null;
  const labels = labelsIn(json["labels"]);
  const side = json["imageSize"];
  return {
    from,
    ...(isNumber(side) ? { size: { width: side, height: side } } : {}),
    ...(json["grayscale"] === true ? { colour: "grey" as const } : {}),
    // Its library crops the middle square, scales it, and takes x / 127.5 - 1.
    normalise: { mean: [0.5], std: [0.5] },
    resize: ({ width, height }) => ({ mode: "crop", kernel: "linear", shortSide: Math.min(width, height) }),
    ...(labels === null ? {} : { labels }),
  };
}
