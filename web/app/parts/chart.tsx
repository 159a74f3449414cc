import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export interface Line {
  readonly name: string;
  readonly values: readonly (number | null)[];
  /** A custom property of the style, such as --accent */
  readonly colour: string;
}

interface ChartProps {
  readonly x: readonly number[];
  readonly lines: readonly Line[];
  readonly height: number;
  /** x is seconds since the epoch */
  readonly isTime?: boolean;
  /** How much of time is shown, s */
  readonly spanS?: number | null;
  readonly label: string;
  /** Where a line stands, in units of x */
  readonly mark?: number | null;
  readonly format?: (value: number) => string;
}

/** Lines over time or over K. What they say is said in text beside them as well. */
export function Chart({
  x,
  lines,
  height,
  isTime = false,
  spanS = null,
  label,
  mark = null,
  format = String,
}: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const until = x.at(-1) ?? 0;
  const plot = useRef<uPlot | null>(null);
  const spanned = useRef<[number, number]>([0, 1]);
  spanned.current =
    isTime && spanS !== null ? [until - spanS, until] : [x[0] ?? 0, Math.max(x.at(-1) ?? 1, (x[0] ?? 0) + 1)];
  const marked = useRef(mark);
  marked.current = mark;
  const shape = lines.map(({ name }) => name).join("|");
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const style = getComputedStyle(element);
    const colour = (name: string): string => style.getPropertyValue(name).trim();
    const axis = {
      stroke: colour("--faint"),
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { stroke: colour("--line"), width: 1 },
      font: "11px system-ui",
    };
    const made = new uPlot(
      {
        width: element.clientWidth,
        height,
        legend: { show: false },
        // As all times that are said on the page
        tzDate: (seconds: number) => uPlot.tzDate(new Date(1000 * seconds), "Etc/UTC"),
        cursor: { show: false },
        scales: {
          x: { time: isTime, range: () => spanned.current },
          y: { range: (_, least, most) => heights(least, most, isTime) },
        },
        padding: [8, 8, 0, 0],
        axes: [
          { ...axis, size: 26 },
          { ...axis, size: 52, values: (_: uPlot, ticks: number[]) => ticks.map((tick) => format(tick)) },
        ],
        series: [
          {},
          ...lines.map(({ name, colour: of }) => ({
            label: name,
            stroke: colour(of),
            width: 1.5,
            points: { show: false },
          })),
        ],
        hooks: {
          draw: [
            (u: uPlot) => {
              if (marked.current === null) return;
              const at = u.valToPos(marked.current, "x", true);
              u.ctx.save();
              u.ctx.strokeStyle = colour("--danger");
              u.ctx.lineWidth = 2;
              u.ctx.beginPath();
              u.ctx.moveTo(at, u.bbox.top);
              u.ctx.lineTo(at, u.bbox.top + u.bbox.height);
              u.ctx.stroke();
              u.ctx.restore();
            },
          ],
        },
      },
      dataOf(x, lines),
      element,
    );
    plot.current = made;
    const resized = new ResizeObserver(() => {
      made.setSize({ width: element.clientWidth, height });
    });
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape, height, isTime]);
  useEffect(() => {
    plot.current?.setData(dataOf(x, lines));
  }, [x, lines]);
  useEffect(() => {
    plot.current?.redraw(false);
  }, [mark]);
  return <div class="chart" ref={box} role="img" aria-label={label} />;
}

/** Room above and below; a rate begins at 0. */
function heights(least: number, most: number, fromZero: boolean): [number, number] {
  if (fromZero) return [0, Math.max(1, most * 1.1)];
  const room = Math.max((most - least) * 0.06, Math.abs(most) * 0.01, 0.001);
  return [least - room, most + room];
}

function dataOf(x: readonly number[], lines: readonly Line[]): uPlot.AlignedData {
  return [[...x], ...lines.map(({ values }) => [...values])];
}
