import { useState } from "preact/hooks";
import { go } from "../address.ts";
import { useAnswer } from "../answer.ts";
import { withQuery } from "../calls.ts";
import { ChoiceBox } from "./choice-box.tsx";

interface Hit {
  readonly kind: "class" | "version" | "image";
  readonly dataset: string | null;
  readonly number: number | null;
  readonly sha256: string | null;
  readonly text: string;
}

interface Choice {
  readonly text: string;
  readonly kind: string;
  readonly path: string;
}

const PLACES: readonly Choice[] = [
  { text: "Classes", kind: "go to", path: "/classes" },
  { text: "Flow", kind: "go to", path: "/flow" },
  { text: "Versions", kind: "go to", path: "/versions" },
  { text: "Compare versions", kind: "go to", path: "/diff" },
  { text: "What if", kind: "go to", path: "/whatif" },
  { text: "Review: doubtful", kind: "go to", path: "/review?kind=doubtful" },
  { text: "Review: unsure", kind: "go to", path: "/review?kind=unsure" },
  { text: "Review: audit", kind: "go to", path: "/review?kind=audit" },
  { text: "Review: quarantine", kind: "go to", path: "/review?kind=quarantine" },
  { text: "Models", kind: "go to", path: "/models" },
  { text: "Pause, resume, drain", kind: "on the flow", path: "/flow" },
  { text: "Publish a version now", kind: "on the versions", path: "/versions" },
  { text: "Life of an image", kind: "go to", path: "/image" },
];

function choiceOf({ kind, dataset, number, sha256, text }: Hit): Choice {
  const of = encodeURIComponent(dataset ?? "");
  if (kind === "class")
    return { text, kind: `class of ${dataset ?? ""}`, path: `/class/${String(number)}?dataset=${of}` };
  if (kind === "version") return { text, kind, path: `/version/${of}/${String(number)}` };
  return { text: `${(sha256 ?? "").slice(0, 24)}…`, kind: "image", path: `/image/${sha256 ?? ""}` };
}

/** Search over everything that has a place: Cmd-K or Ctrl-K. */
export function Palette({ close }: { readonly close: () => void }) {
  const [text, setText] = useState("");
  const wanted = text.trim().toLowerCase();
  const found = useAnswer<{ readonly hits: readonly Hit[] }>(
    wanted === "" ? null : withQuery("/api/search", { q: text.trim() }),
  );
  const choices = [
    ...(found.value?.hits ?? []).map(choiceOf),
    ...PLACES.filter((place) => place.text.toLowerCase().includes(wanted)),
  ];
  return (
    <ChoiceBox
      id="choices"
      name="Search"
      placeholder="A class, a version, the first digits of an image's SHA-256 …"
      listName="What was found"
      text={text}
      onText={setText}
      choices={choices.map((choice) => ({ ...choice, key: `${choice.kind} ${choice.path}` }))}
      nothing={found.isLoading && text !== "" ? "Searching …" : "Nothing of that name."}
      take={(choice) => {
        close();
        go(choice.path);
      }}
      close={close}
    />
  );
}
