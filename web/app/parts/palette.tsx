import { useState } from "preact/hooks";
import { go } from "../address.ts";
import { useAnswer } from "../answer.ts";
import { classUrl, withQuery } from "../calls.ts";
import { ChoiceBox } from "./choice-box.tsx";
import type { Command, commandsOf } from "./commands.tsx";

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
  /** Where it leads, or what it does */
  readonly path: string;
  readonly command?: Command;
}

interface PaletteProps {
  /** What can be done, beside where one can go */
  readonly commands: ReturnType<typeof commandsOf>;
  readonly command: (command: Command) => void;
  readonly close: () => void;
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
  { text: "Life of an image", kind: "go to", path: "/image" },
];

function choiceOf({ kind, dataset, number, sha256, text }: Hit): Choice {
  const of = encodeURIComponent(dataset ?? "");
  if (kind === "class") return { text, kind: `class of ${dataset ?? ""}`, path: `${classUrl(text)}?dataset=${of}` };
  if (kind === "version") return { text, kind, path: `/version/${of}/${String(number)}` };
  return { text: `${(sha256 ?? "").slice(0, 24)}…`, kind: "image", path: `/image/${sha256 ?? ""}` };
}

/** Search over everything that has a place, and what can be done: Cmd-K or Ctrl-K. */
export function Palette({ commands, command, close }: PaletteProps) {
  const [text, setText] = useState("");
  const wanted = text.trim().toLowerCase();
  const found = useAnswer<{ readonly hits: readonly Hit[] }>(
    wanted === "" ? null : withQuery("/api/search", { q: text.trim() }),
  );
  const choices = [
    ...(found.value?.hits ?? []).map(choiceOf),
    ...[
      ...PLACES,
      ...commands.map((one): Choice => ({ text: one.text, kind: "do", path: `#${one.command}`, command: one.command })),
    ].filter((one) => one.text.toLowerCase().includes(wanted)),
  ];
  return (
    <ChoiceBox
      id="choices"
      name="Search"
      placeholder="A class, a version, the first digits of an image's SHA-256, what to do …"
      listName="What was found"
      text={text}
      onText={setText}
      choices={choices.map((choice) => ({ ...choice, key: `${choice.kind} ${choice.path}` }))}
      nothing={found.isLoading && text !== "" ? "Searching …" : "Nothing of that name."}
      take={(choice) => {
        close();
        if (choice.command === undefined) go(choice.path);
        else command(choice.command);
      }}
      close={close}
    />
  );
}
