// What it takes to read protocol buffers: https://protobuf.dev/programming-guides/encoding/

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
