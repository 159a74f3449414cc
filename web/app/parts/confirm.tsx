import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { keepFocus } from "./kept-focus.ts";

interface ConfirmProps {
  readonly title: string;
  readonly action: string;
  readonly isBusy: boolean;
  readonly children: ComponentChildren;
  readonly run: () => void;
  readonly close: () => void;
}

/** What will change, before it does. Escape leaves all as it is. */
export function Confirm({ title, action, isBusy, children, run, close }: ConfirmProps) {
  const box = useRef<HTMLDivElement>(null);
  const before = useRef(document.activeElement);
  useEffect(() => {
    box.current?.querySelector<HTMLElement>(".primary")?.focus();
    return () => {
      (before.current as HTMLElement | null)?.focus();
    };
  }, []);
  return (
    <div class="veil" onClick={isBusy ? undefined : close}>
      <div
        ref={box}
        class="palette confirm"
        role="alertdialog"
        aria-modal="true"
        aria-label={title}
        tabIndex={-1}
        onClick={(event) => {
          event.stopPropagation();
        }}
        onKeyDown={(event) => {
          event.stopPropagation();
          keepFocus(event, box.current);
          if (event.key === "Escape" && !isBusy) close();
        }}
      >
        <h2>{title}</h2>
        {children}
        <p class="actions">
          <button type="button" class="primary" disabled={isBusy} onClick={run}>
            {isBusy ? "Working …" : action}
          </button>
          <button type="button" disabled={isBusy} onClick={close}>
            Leave it
          </button>
        </p>
      </div>
    </div>
  );
}
