// What it takes to read and write protocol buffers: https://protobuf.dev/programming-guides/encoding/

/** Fields, one after the other. */
export function message(...fields: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(fields));
}

/** A field of wire type 0. */
export function integer(field: number, value: number): Uint8Array {
  return message(varint(field * 8), varint(value));
}

/** A field of wire type 2: length, then content. */
export function bytes(field: number, content: Uint8Array): Uint8Array {
  return message(varint(field * 8 + 2), varint(content.length), content);
}

export function text(field: number, content: string): Uint8Array {
  return bytes(field, Buffer.from(content));
}

/** A field of wire type 5. */
export function float(field: number, value: number): Uint8Array {
  return message(varint(field * 8 + 5), new Uint8Array(Float32Array.of(value).buffer));
}

/** Seven bits a byte, the lowest first; a negative number as its 64-bit two's complement. */
function varint(value: number): Uint8Array {
  const out: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    out.push(Number(rest & 127n) | (rest > 127n ? 128 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Uint8Array.from(out);
}

/** A field as it lies in a message. */
export interface Field {
  readonly number: number;
  /** The whole field: it can be copied into another message as it is */
  readonly encoded: Uint8Array;
  /** Of wire type 2 the content, of type 0 nothing: see `value` */
  readonly content: Uint8Array;
  /** Of wire type 0; 0 for other types */
  readonly value: number;
}

/** The fields of a message, in their order, without copying. Throws RangeError where the bytes are no message. */
export function* fieldsOf(encoded: Uint8Array): Generator<Field> {
  for (let at = 0; at < encoded.length;) {
    const key = varintAt(encoded, at);
    let [from, end, value] = [key.end, key.end, 0];
    switch (key.value % 8) {
      case 0: {
        const read = varintAt(encoded, from);
        [from, end, value] = [read.end, read.end, read.value];
        break;
      }
      case 1:
        end += 8;
        break;
      case 2: {
        const length = varintAt(encoded, from);
        [from, end] = [length.end, length.end + length.value];
        break;
      }
      case 5:
        end += 4;
        break;
      default:
        throw new RangeError(`a field of wire type ${key.value % 8} at byte ${at}`);
    }
    if (end > encoded.length) throw new RangeError(`a field at byte ${at} that goes beyond its message`);
    yield {
      number: Math.floor(key.value / 8),
      encoded: encoded.subarray(at, end),
      content: encoded.subarray(from, end),
      value,
    };
    at = end;
  }
}

/** Exact up to 2^53: lengths, field numbers and what ONNX counts are far below. */
function varintAt(encoded: Uint8Array, start: number): { value: number; end: number } {
  let value = 0;
  for (let at = start, factor = 1; at < start + 10; at++, factor *= 128) {
    const byte = encoded[at];
    if (byte === undefined) break;
    value += (byte & 127) * factor;
    if (byte < 128) return { value, end: at + 1 };
  }
  throw new RangeError(`an unfinished number at byte ${start}`);
}
