/** Colours that stay apart for most kinds of colour blindness (Okabe and Ito). */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8a7d00"];
const DASHES = ["", "6 3", "2 3", "8 3 2 3"];

/** Height of one row of a legend, px */
export const LEGEND_ROW = 22;

export function lineColour(index: number): string {
  return COLOURS[index % COLOURS.length]!;
}

/** Attributes of a series' line: colours first, then dashes, so that no two near each other are alike. */
export function lineStroke(index: number): string {
  const dash = DASHES[Math.floor(index / COLOURS.length) % DASHES.length]!;
  return `stroke="${lineColour(index)}" stroke-width="2"${dash === "" ? "" : ` stroke-dasharray="${dash}"`}`;
}

/** A line and a name for each series, in `columns` of `width` px. */
export function legend(
  names: readonly string[],
  { left, top, columns, width }: { left: number; top: number; columns: number; width: number },
): string[] {
  return names.map((name, index) => {
    const x = left + (index % columns) * width;
    const y = top + Math.floor(index / columns) * LEGEND_ROW;
    return `<line x1="${x}" y1="${y}" x2="${x + 28}" y2="${y}" ${lineStroke(index)}/><text x="${x + 36}" y="${y + 4}">${escaped(name)}</text>`;
  });
}

/** A coordinate, to a hundredth of a px */
export const coordinate = (value: number): string => String(Number(value.toFixed(2)));

/** For the text and the attributes of SVG and HTML. */
export function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
