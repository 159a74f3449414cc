/** A number in [0, below) */
export function below(next: () => number, bound: number): number {
  return Math.floor(next() * bound);
}

export function oneOf<T>(next: () => number, values: readonly T[]): T {
  return values[below(next, values.length)]!;
}

/** Lengths and offsets that code compares with, little- and big-endian */
const EDGES = [0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff];

/** One to eight changes of bytes: bits, numbers, and pieces that are cut out, doubled, moved or taken from `other`. */
export function mutateBytes(next: () => number, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  let made: Buffer = Buffer.from(bytes);
  for (let change = 1 + below(next, 8) * below(next, 2); change > 0; change--) made = changeOnce(next, made, other);
  return made;
}

function changeOnce(next: () => number, bytes: Buffer, other: Uint8Array): Buffer {
  if (bytes.length === 0) return Buffer.from(other.subarray(0, below(next, 64)));
  // Headers stand at the start, and of some formats at the end.
  const near = below(next, 3);
  const span = near === 0 ? bytes.length : Math.min(bytes.length, 512);
  const at = near === 2 ? bytes.length - 1 - below(next, span) : below(next, span);
  const length = Math.min(bytes.length - at, 1 + below(next, 1 << below(next, 12)));
  switch (below(next, 9)) {
    case 0:
      bytes[at]! ^= 1 << below(next, 8);
      return bytes;
    case 1:
      bytes[at] = below(next, 256);
      return bytes;
    case 2: {
      const edge = oneOf(next, EDGES);
      if (at + 4 > bytes.length) bytes[at] = edge & 0xff;
      else if (next() < 0.5) bytes.writeUInt32LE(edge, at);
      else bytes.writeUInt32BE(edge, at);
      return bytes;
    }
    case 3: {
      if (at + 2 <= bytes.length) bytes.writeUInt16BE(oneOf(next, EDGES) & 0xffff, at);
      return bytes;
    }
    case 4:
      return bytes.subarray(0, at);
    case 5:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 6:
      return Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
    case 7: {
      const from = below(next, Math.max(1, other.length));
      return Buffer.concat([bytes.subarray(0, at), other.subarray(from, from + length), bytes.subarray(at + length)]);
    }
    default:
      bytes.fill(below(next, 256), at, at + length);
      return bytes;
  }
}

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

const DEEP = `${"[".repeat(2000)}${"]".repeat(2000)}`;
const VALUES: readonly (() => Json)[] = [
  () => null,
  () => true,
  () => -1,
  () => 0,
  () => 1.5,
  () => 1e308,
  () => 2 ** 53,
  () => 2 ** 31,
  () => -(2 ** 31),
  () => "",
  () => "../../../../outside",
  () => "/dev/zero",
  () => "\u0000",
  () => "\ud800",
  () => "__proto__",
  () => "constructor",
  () => "a".repeat(100_000),
  () => "0".repeat(64),
  () => "9999999999999999999999",
  () => "* * * * *",
  () => [],
  () => ({}),
  () => JSON.parse(DEEP) as Json,
  () => JSON.parse('{"__proto__": {"polluted": 1}}') as Json,
  () => Array.from({ length: 1000 }, (_, at) => at),
];

/** JSON with one to four of its values, names or members changed; text that is none is changed as bytes. */
export function mutateJson(next: () => number, text: Uint8Array): Uint8Array {
  let value: Json;
  try {
    value = JSON.parse(Buffer.from(text).toString()) as Json;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return mutateBytes(next, text, text);
  }
  for (let change = 1 + below(next, 4); change > 0; change--) value = changeValue(next, value);
  const made = Buffer.from(JSON.stringify(value));
  return next() < 0.1 ? mutateBytes(next, made, text) : made;
}

function changeValue(next: () => number, value: Json): Json {
  const inner = value !== null && typeof value === "object" ? Object.keys(value) : [];
  if (inner.length === 0 || next() < 0.1) return oneOf(next, VALUES)();
  const name = oneOf(next, inner);
  if (Array.isArray(value)) {
    const at = Number(name);
    const made = [...value];
    const kind = below(next, 4);
    if (kind === 0) made.splice(at, 1);
    else if (kind === 1) made.push(made[at]!);
    else made[at] = changeValue(next, made[at]!);
    return made;
  }
  const made = new Map(Object.entries(value as { [name: string]: Json }));
  const kind = below(next, 6);
  if (kind === 0) made.delete(name);
  else if (kind === 1) made.set(oneOf(next, ["__proto__", "constructor", "", "x".repeat(300), `${name}s`]), 1);
  else made.set(name, changeValue(next, made.get(name)!));
  // Members of every name, `__proto__` too, as a parser makes them.
  return JSON.parse(
    `{${[...made].map(([key, one]) => `${JSON.stringify(key)}:${JSON.stringify(one)}`).join(",")}}`,
  ) as Json;
}
