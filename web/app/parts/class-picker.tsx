import { useState } from "preact/hooks";
import { useAnswer } from "../answer.ts";
import { withQuery } from "../calls.ts";
import { ChoiceBox } from "./choice-box.tsx";

interface Hit {
  readonly kind: string;
  readonly text: string;
}

/** Asks which class an image is of: by a part of its name. */
export function ClassPicker({ take, close }: { readonly take: (label: string) => void; readonly close: () => void }) {
  const [text, setText] = useState("");
  const found = useAnswer<{ readonly hits: readonly Hit[] }>(withQuery("/api/search", { q: text.trim() }));
  const labels = [
    ...new Set((found.value?.hits ?? []).filter(({ kind }) => kind === "class").map((hit) => hit.text)),
  ].slice(0, 12);
  return (
    <ChoiceBox
      id="picked"
      name="Which class is it?"
      placeholder="Which class is it?"
      listName="Classes"
      text={text}
      onText={setText}
      choices={labels.map((label) => ({ key: label, text: label, kind: "it is this" }))}
      nothing={found.isLoading ? null : "No class of that name."}
      take={(choice) => {
        take(choice.text);
      }}
      close={close}
    />
  );
}
