const FOCUSABLE = "a[href], button:not(:disabled), input:not(:disabled), select:not(:disabled), [tabindex='0']";

/** Tab goes round within a box that floats: what lies behind it takes no keys while it is open. */
export function keepFocus(event: KeyboardEvent, box: HTMLElement | null): void {
  if (event.key !== "Tab" || box === null) return;
  event.preventDefault();
  const all = [...box.querySelectorAll<HTMLElement>(FOCUSABLE)];
  const at = all.indexOf(document.activeElement as HTMLElement);
  const next = event.shiftKey ? (at <= 0 ? all.length - 1 : at - 1) : (at + 1) % Math.max(1, all.length);
  all[next]?.focus();
}

/** Whether a box floats over the page. */
export const isBoxOpen = (): boolean => document.querySelector("[aria-modal=true]") !== null;
