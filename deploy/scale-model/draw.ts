import { escaped } from "../../pipelines/svg-parts.js";

/** A line of a chart: points of x and y, both above 0 */
export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Words at points where something changes */
  readonly marks: readonly { readonly at: readonly [x: number, y: number]; readonly said: string }[];
}

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT] = [860, 460, 70, 50, 30, 200];
const COLOURS = ["#1b6ca8", "#c0392b", "#2e7d32", "#8e44ad"];

/** A chart with two logarithmic axes, as SVG that reads on light and dark pages. */
export function logLogChart(
  title: string,
  axes: { readonly x: string; readonly y: string },
  lines: readonly Line[],
): string {
  const all = lines.flatMap(({ points }) => points);
  const decades = (values: readonly number[]): [number, number] => [
    Math.floor(Math.log10(Math.min(...values))),
    Math.ceil(Math.log10(Math.max(...values))),
  ];
  const [x0, x1] = decades(all.map(([x]) => x));
  const [y0, y1] = decades(all.map(([, y]) => y));
  const px = (x: number): number => LEFT + ((Math.log10(x) - x0) / (x1 - x0)) * (WIDTH - LEFT - RIGHT);
  const py = (y: number): number => HEIGHT - BOTTOM - ((Math.log10(y) - y0) / (y1 - y0)) * (HEIGHT - BOTTOM - TOP);
  const at = (value: number): string => value.toFixed(1);
  const grid: string[] = [];
  for (let decade = x0; decade <= x1; decade++) {
    const x = at(px(10 ** decade));
    grid.push(
      `<path d="M${x} ${TOP}V${HEIGHT - BOTTOM}"/><text x="${x}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${label(decade)}</text>`,
    );
  }
  for (let decade = y0; decade <= y1; decade++) {
    const y = at(py(10 ** decade));
    grid.push(
      `<path d="M${LEFT} ${y}H${WIDTH - RIGHT}"/><text x="${LEFT - 8}" y="${y}" dy="4" text-anchor="end">${label(decade)}</text>`,
    );
  }
  const drawn = lines.map(({ name, points, marks }, index) => {
    const colour = COLOURS[index % COLOURS.length]!;
    const path = points.map(([x, y], number) => `${number === 0 ? "M" : "L"}${at(px(x))} ${at(py(y))}`).join("");
    const [lastX, lastY] = points.at(-1)!;
    return [
      `<path d="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`,
      `<text x="${at(px(lastX) + 8)}" y="${at(py(lastY) + 4)}" fill="${colour}">${escaped(name)}</text>`,
      ...marks.map(
        ({ at: [x, y], said }) =>
          `<circle cx="${at(px(x))}" cy="${at(py(y))}" r="4" fill="${colour}"/><text x="${at(px(x))}" y="${at(py(y) - 9)}" fill="${colour}" text-anchor="middle" font-size="11">${escaped(said)}</text>`,
      ),
    ].join("\n");
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12" role="img" aria-label="${escaped(title)}">
<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>
<g stroke="#dddddd" fill="#333333" stroke-width="1"><g style="stroke-width:1">${grid.join("").replaceAll("<text", '<text stroke="none"')}</g></g>
<text x="${LEFT}" y="18" font-weight="bold" fill="#111111">${escaped(title)}</text>
<text x="${(WIDTH - RIGHT + LEFT) / 2}" y="${HEIGHT - 12}" text-anchor="middle" fill="#333333">${escaped(axes.x)}</text>
<text transform="translate(16 ${HEIGHT / 2}) rotate(-90)" text-anchor="middle" fill="#333333">${escaped(axes.y)}</text>
${drawn.join("\n")}
</svg>
`;
}

function label(decade: number): string {
  return decade >= 0 && decade < 6 ? (10 ** decade).toLocaleString("en-US") : `1e${decade}`;
}
