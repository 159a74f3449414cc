import { plot, type PlotOptions } from "@observablehq/plot";
import { useEffect, useRef, useState } from "preact/hooks";

interface PlottedProps {
  readonly options: PlotOptions;
  readonly height: number;
  /** What it shows, for those who do not see it */
  readonly label: string;
}

/** A distribution, drawn as wide as there is room. Colours are the page's own, so that the light turns them as everything else. */
export function Plotted({ options, height, label }: PlottedProps) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const resized = new ResizeObserver(() => {
      setWidth(element.clientWidth);
    });
    resized.observe(element);
    return () => {
      resized.disconnect();
    };
  }, []);
  useEffect(() => {
    const element = box.current;
    if (element === null || width === 0) return;
    const drawn = plot({ ...options, width, height, className: "plot" });
    // The page takes no style but its own file's, which has what these would say.
    for (const style of drawn.querySelectorAll("style")) style.remove();
    // The whole says what it shows: its parts have no role that could.
    for (const part of drawn.querySelectorAll("[aria-label]")) part.removeAttribute("aria-label");
    element.replaceChildren(drawn);
  }, [options, width, height]);
  return <div class="plotted" ref={box} role="img" aria-label={label} style={{ height: `${height}px` }} />;
}
