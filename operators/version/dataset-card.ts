import { shownNames } from "../../schemas/class-names.js";
import { SIDECAR_FIELDS } from "../../schemas/sample-sidecar.js";
import { IMAGE_FIELD } from "./publish-plan.js";

/**
 * The front matter of a version's README: what Hugging Face's `datasets` loads when it is given the folder. The shards where
 * there are any, with the names of the classes and the type of every field, which it would guess from five samples otherwise;
 * else the index. It loads one kind of file a folder, so that the index is no second configuration: that is loaded from its own.
 */
export function datasetCard(dataset: string, labels: readonly string[], hasShards: boolean): string {
  const name = hasShards ? "images" : "index";
  const lines = [
    "---",
    `pretty_name: ${yamlText(dataset)}`,
    "task_categories:",
    "- image-classification",
    "configs:",
    `- config_name: ${name}`,
    "  default: true",
    "  data_files:",
    "  - split: train",
    `    path: ${hasShards ? "shards/*.tar" : "index/*.parquet"}`,
    ...(hasShards
      ? [
          "dataset_info:",
          `- config_name: ${name}`,
          "  features:",
          `  - name: ${IMAGE_FIELD}`,
          "    dtype: image",
          "  - name: cls",
          ...classType(labels),
          "  - name: json",
          "    struct:",
          ...SIDECAR_FIELDS.flatMap((field) => [`    - name: ${field.name}`, `      dtype: ${field.type}`]),
          ...["__key__", "__url__"].flatMap((field) => [`  - name: ${field}`, "    dtype: string"]),
        ]
      : []),
    "---",
  ];
  return lines.join("\n") + "\n";
}

/** The classes by name. Names must differ there. */
function classType(labels: readonly string[]): string[] {
  const names = shownNames(labels);
  if (new Set(names).size < names.length) return ["    dtype: int64"];
  return [
    "    dtype:",
    "      class_label:",
    "        names:",
    ...names.map((name, index) => `          "${index}": ${yamlText(name)}`),
  ];
}

/** A double-quoted YAML scalar on one line; what YAML or its readers may not take as it is, is escaped. */
export function yamlText(text: string): string {
  const escaped = text.replace(/["\\]|[^\x20-\x7e\p{L}\p{N}]/gu, (character) => {
    if (character === '"' || character === "\\") return `\\${character}`;
    const code = character.codePointAt(0)!;
    return code > 0xffff ? `\\U${code.toString(16).padStart(8, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
  return `"${escaped}"`;
}
