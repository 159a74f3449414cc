import { useEffect, useRef, useState } from "preact/hooks";
import { keepFocus } from "./kept-focus.ts";

export interface BoxChoice {
  readonly key: string;
  readonly text: string;
  /** What it is, in small letters */
  readonly kind: string;
}

export interface ChoiceBoxProps<C extends BoxChoice> {
  /** Of the list's element: another one for each box */
  readonly id: string;
  /** What is asked, for those who do not see it */
  readonly name: string;
  readonly placeholder: string;
  /** What the list holds */
  readonly listName: string;
  readonly text: string;
  readonly onText: (text: string) => void;
  readonly choices: readonly C[];
  /** Said where there is no choice; null: nothing */
  readonly nothing: string | null;
  readonly take: (choice: C) => void;
  readonly close: () => void;
}

/** A box over the page that asks for a text and offers what fits: arrows and Enter choose, Escape closes, and focus goes back to where it was. */
export function ChoiceBox<C extends BoxChoice>(props: ChoiceBoxProps<C>) {
  const { id, name, placeholder, listName, text, onText, choices, nothing, take, close } = props;
  const [at, setAt] = useState(0);
  const input = useRef<HTMLInputElement>(null);
  const before = useRef(document.activeElement);
  useEffect(() => {
    input.current?.focus();
    return () => {
      (before.current as HTMLElement | null)?.focus();
    };
  }, []);
  const chosen = Math.min(at, choices.length - 1);
  const onKey = (event: KeyboardEvent): void => {
    const choice = choices[chosen];
    if (event.key === "Escape") close();
    else if (event.key === "ArrowDown") setAt(Math.min(chosen + 1, choices.length - 1));
    else if (event.key === "ArrowUp") setAt(Math.max(0, chosen - 1));
    else if (event.key === "Enter") {
      if (choice !== undefined) take(choice);
    } else if (event.key === "Tab") keepFocus(event, input.current?.parentElement ?? null);
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
        aria-label={name}
        onClick={(event) => {
          event.stopPropagation();
        }}
        onKeyDown={onKey}
      >
        <input
          ref={input}
          type="text"
          placeholder={placeholder}
          aria-label={name}
          role="combobox"
          aria-expanded="true"
          aria-controls={id}
          aria-activedescendant={choices.length > 0 ? `${id}-${chosen}` : undefined}
          value={text}
          onInput={(event) => {
            onText(event.currentTarget.value);
            setAt(0);
          }}
        />
        <ul id={id} role="listbox" aria-label={listName}>
          {choices.map((choice, index) => (
            <li
              key={choice.key}
              id={`${id}-${index}`}
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
        {choices.length === 0 && nothing !== null ? <p class="fine nothing">{nothing}</p> : null}
      </div>
    </div>
  );
}
