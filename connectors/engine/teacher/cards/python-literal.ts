/**
 * Reads what Python's `str` writes of lists, tuples, dicts (as Map), strings, numbers, True, False and None; JSON of these is read, too. Null where the
 * text is anything else.
 */
export function readPythonLiteral(text: string): unknown {
  const reader = new Reader(text);
  try {
    return reader.whole();
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

const WORDS: Readonly<Record<string, unknown>> = {
  True: true,
  False: false,
  None: null,
  true: true,
  false: false,
  null: null,
};
const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  b: "\b",
  f: "\f",
  a: "\u0007",
  v: "\v",
  "0": "\0",
};

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): unknown {
    const value = this.#value();
    this.#skip();
    if (this.#at < this.#text.length) throw new SyntaxError("more after the value");
    return value;
  }

  #skip(): void {
    while (/\s/.test(this.#text[this.#at] ?? "")) this.#at++;
  }

  #value(): unknown {
    this.#skip();
    const next = this.#text[this.#at];
    if (next === "{") return this.#dict();
    if (next === "[") return this.#list("]");
    if (next === "(") return this.#list(")");
    if (next === "'" || next === '"') return this.#string(next);
    const match = /^[-+.\w]+/.exec(this.#text.slice(this.#at))?.[0];
    if (match === undefined) throw new SyntaxError(`no value at ${this.#at}`);
    this.#at += match.length;
    if (match in WORDS) return WORDS[match];
    const number = Number(match);
    if (Number.isNaN(number)) throw new SyntaxError(`no value: ${match}`);
    return number;
  }

  #string(quote: string): string {
    let made = "";
    for (this.#at++; ; this.#at++) {
      const next = this.#text[this.#at];
      if (next === undefined) throw new SyntaxError("an unfinished string");
      if (next === quote) break;
      if (next !== "\\") {
        made += next;
        continue;
      }
      const kind = this.#text[++this.#at] ?? "";
      const length = { x: 2, u: 4, U: 8 }[kind];
      if (length === undefined) made += ESCAPES[kind] ?? kind;
      else {
        const code = Number.parseInt(this.#text.slice(this.#at + 1, this.#at + 1 + length), 16);
        if (Number.isNaN(code)) throw new SyntaxError("a wrong escape");
        made += String.fromCodePoint(code);
        this.#at += length;
      }
    }
    this.#at++;
    return made;
  }

  /** Items up to `end`; a comma may be the last. */
  #items(end: string, item: () => void): void {
    this.#at++;
    for (;;) {
      this.#skip();
      if (this.#text[this.#at] === end) break;
      item();
      this.#skip();
      if (this.#text[this.#at] === ",") this.#at++;
      else if (this.#text[this.#at] !== end) throw new SyntaxError(`no comma at ${this.#at}`);
    }
    this.#at++;
  }

  #list(end: string): unknown[] {
    const list: unknown[] = [];
    this.#items(end, () => list.push(this.#value()));
    return list;
  }

  #dict(): Map<unknown, unknown> {
    const dict = new Map<unknown, unknown>();
    this.#items("}", () => {
      const key = this.#value();
      this.#skip();
      if (this.#text[this.#at++] !== ":") throw new SyntaxError("no colon");
      dict.set(key, this.#value());
    });
    return dict;
  }
}
