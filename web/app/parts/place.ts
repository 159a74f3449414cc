import { useCallback, useRef, useState } from "preact/hooks";

export interface Seen {
  readonly width: number;
  readonly height: number;
  readonly top: number;
}

/** The size of a scrolled box, and how far it is scrolled: looked at once a frame. The box may come later than the screen. */
export function useScrolled<E extends HTMLElement>() {
  const box = useRef<E | null>(null);
  const stop = useRef<() => void>(() => undefined);
  const [seen, set] = useState<Seen>({ width: 0, height: 0, top: 0 });
  const ref = useCallback((element: E | null) => {
    stop.current();
    stop.current = () => undefined;
    box.current = element;
    if (element === null) return;
    let frame = 0;
    const look = (): void => {
      frame = 0;
      set((before) => {
        const next = { width: element.clientWidth, height: element.clientHeight, top: element.scrollTop };
        return before.width === next.width && before.height === next.height && before.top === next.top ? before : next;
      });
    };
    const soon = (): void => {
      if (frame === 0) frame = requestAnimationFrame(look);
    };
    look();
    element.addEventListener("scroll", soon, { passive: true });
    const resized = new ResizeObserver(soon);
    resized.observe(element);
    stop.current = () => {
      element.removeEventListener("scroll", soon);
      resized.disconnect();
      cancelAnimationFrame(frame);
    };
  }, []);
  return { box, ref, seen };
}
