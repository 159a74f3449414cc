import { useEffect, useRef, useState } from "preact/hooks";
import { useAnswer } from "../answer.ts";
import { withQuery } from "../calls.ts";

interface Hit {
  readonly kind: string;
  readonly text: string;
}

/** Asks which class an image is of: by a part of its name. */
export function ClassPicker({ take, close }: { readonly take: (label: string) => void; readonly close: () => void }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const input = useRef<HTMLInputElement>(null);
  const found = useAnswer<{ readonly hits: readonly Hit[] }>(withQuery("/api/search", { q: text.trim() }));
  const labels = [
    ...new Set((found.value?.hits ?? []).filter(({ kind }) => kind === "class").map((hit) => hit.text)),
  ].slice(0, 12);
  const chosen = Math.min(at, labels.length - 1);
  useEffect(() => {
    input.current?.focus();
  }, []);
  const onKey = (event: KeyboardEvent): void => {
    const label = labels[chosen];
    if (event.key === "Escape") close();
    else if (event.key === "ArrowDown") setAt(Math.min(chosen + 1, labels.length - 1));
    else if (event.key === "ArrowUp") setAt(Math.max(0, chosen - 1));
    else if (event.key === "Enter" && label !== undefined) take(label);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="veil" onClick={close}>
      <div
        class="palette"
        role="dialog"
        aria-modal="true"
        aria-label="Which class is it?"
        onClick={(event) => {
          event.stopPropagation();
        }}
        onKeyDown={onKey}
      >
        <input
          ref={input}
          type="text"
          placeholder="Which class is it?"
          aria-label="Which class is it?"
          role="combobox"
          aria-expanded="true"
          aria-controls="picked"
          aria-activedescendant={labels.length > 0 ? `picked-${chosen}` : undefined}
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value);
            setAt(0);
          }}
        />
        <ul id="picked" role="listbox" aria-label="Classes">
          {labels.map((label, index) => (
            <li
              key={label}
              id={`picked-${index}`}
              role="option"
              aria-selected={index === chosen}
              onClick={() => {
                take(label);
              }}
            >
              <span>{label}</span>
              <span class="fine">it is this</span>
            </li>
          ))}
        </ul>
        {labels.length === 0 && !found.isLoading ? <p class="fine nothing">No class of that name.</p> : null}
      </div>
    </div>
  );
}
