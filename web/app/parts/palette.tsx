import { useEffect, useRef, useState } from "preact/hooks";
import { go } from "../address.ts";
import { useAnswer } from "../answer.ts";
import { withQuery } from "../calls.ts";

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
  const [at, setAt] = useState(0);
  const input = useRef<HTMLInputElement>(null);
  const before = useRef(document.activeElement);
  const found = useAnswer<{ readonly hits: readonly Hit[] }>(
    text.trim() === "" ? null : withQuery("/api/search", { q: text.trim() }),
  );
  useEffect(() => {
    input.current?.focus();
    return () => {
      (before.current as HTMLElement | null)?.focus();
    };
  }, []);
  const wanted = text.trim().toLowerCase();
  const choices = [
    ...(found.value?.hits ?? []).map(choiceOf),
    ...PLACES.filter((place) => place.text.toLowerCase().includes(wanted)),
  ];
  const chosen = Math.min(at, choices.length - 1);
  const take = (choice: Choice | undefined): void => {
    if (choice === undefined) return;
    close();
    go(choice.path);
  };
  const onKey = (event: KeyboardEvent): void => {
    if (event.key === "Escape") close();
    else if (event.key === "ArrowDown") setAt(Math.min(chosen + 1, choices.length - 1));
    else if (event.key === "ArrowUp") setAt(Math.max(0, chosen - 1));
    else if (event.key === "Enter") take(choices[chosen]);
    else if (event.key !== "Tab") return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="veil" onClick={close}>
      <div
        class="palette"
        role="dialog"
        aria-modal="true"
        aria-label="Search"
        onClick={(event) => {
          event.stopPropagation();
        }}
        onKeyDown={onKey}
      >
        <input
          ref={input}
          type="text"
          placeholder="A class, a version, the first digits of an image's SHA-256 …"
          aria-label="Search"
          role="combobox"
          aria-expanded="true"
          aria-controls="choices"
          aria-activedescendant={choices.length > 0 ? `choice-${chosen}` : undefined}
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value);
            setAt(0);
          }}
        />
        <ul id="choices" role="listbox" aria-label="What was found">
          {choices.map((choice, index) => (
            <li
              key={`${choice.kind} ${choice.path}`}
              id={`choice-${index}`}
              role="option"
              aria-selected={index === chosen}
              onClick={() => {
                take(choice);
              }}
            >
              <span>{choice.text}</span>
              <span class="fine">{choice.kind}</span>
            </li>
          ))}
        </ul>
        {choices.length === 0 ? (
          <p class="fine nothing">{found.isLoading && text !== "" ? "Searching …" : "Nothing of that name."}</p>
        ) : null}
      </div>
    </div>
  );
}
