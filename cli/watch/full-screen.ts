import type { OutputStream } from "../terminal.js";

const ESC = "\x1b[";
/** The terminal's other screen, without a cursor; and back. What stood there before is as it was. */
const ENTER = `${ESC}?1049h${ESC}?25l`;
const LEAVE = `${ESC}?25h${ESC}?1049l`;
/** As of a terminal that does not tell */
const SIZE = { columns: 80, rows: 24 };

/** The whole screen, drawn anew at each call, until it is closed. */
export class FullScreen {
  readonly #stream: OutputStream;
  #open = true;
  #lines: readonly string[] = [];
  /** The first line that is shown */
  #first = 0;

  constructor(stream: OutputStream) {
    this.#stream = stream;
    stream.write(ENTER);
  }

  get size(): { readonly columns: number; readonly rows: number } {
    // A terminal that nobody has sized says 0.
    const { columns, rows } = this.#stream;
    return { columns: sizeOr(columns, SIZE.columns), rows: sizeOr(rows, SIZE.rows) };
  }

  /** Lines that are too long are cut; where there are more than rows, the last row says which are shown. */
  draw(lines: readonly string[]): void {
    if (!this.#open) return;
    this.#lines = lines;
    const { columns, rows } = this.size;
    const shown = this.#inView(rows).map((line) => `${cut(line, columns)}${ESC}K`);
    this.#stream.write(`${ESC}H${shown.join("\r\n")}${ESC}J`);
  }

  /** Moves what is shown down by so many lines, as far as there are any. */
  scroll(by: number): void {
    this.#first += by;
    this.draw(this.#lines);
  }

  #inView(rows: number): readonly string[] {
    const lines = this.#lines;
    const room = rows - 1;
    this.#first = lines.length <= rows ? 0 : Math.max(0, Math.min(this.#first, lines.length - room));
    if (lines.length <= rows) return lines;
    const end = this.#first + room;
    return [...lines.slice(this.#first, end), `lines ${this.#first + 1} to ${end} of ${lines.length}  ↑ ↓ move`];
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#stream.write(LEAVE);
  }
}

function sizeOr(size: number | undefined, otherwise: number): number {
  return size === undefined || size === 0 ? otherwise : size;
}

function cut(line: string, columns: number): string {
  const letters = Array.from(line);
  return letters.length <= columns ? line : `${letters.slice(0, columns - 1).join("")}…`;
}
