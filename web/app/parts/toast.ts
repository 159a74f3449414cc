import { useEffect, useState } from "preact/hooks";

export interface Toast {
  readonly text: string;
  readonly kind: "done" | "failed";
  readonly undo?: (() => void) | undefined;
}

let shown: Toast | null = null;
let timer = 0;
const listeners = new Set<(toast: Toast | null) => void>();
/** Long enough to read and to reach for undo, ms */
const SHOWN_MS = 8000;

export function toast(next: Toast | null): void {
  shown = next;
  window.clearTimeout(timer);
  if (next !== null) {
    timer = window.setTimeout(() => {
      toast(null);
    }, SHOWN_MS);
  }
  for (const listener of listeners) listener(next);
}

export function useToast(): Toast | null {
  const [state, set] = useState(shown);
  useEffect(() => {
    listeners.add(set);
    return () => {
      listeners.delete(set);
    };
  }, []);
  return state;
}
