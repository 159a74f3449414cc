import { awaitedLater } from "../../schemas/errors.js";

export interface InFlightBounds {
  readonly items: number;
  readonly bytes: number;
}

/** Reads begun before the first of them is taken: enough to hide a server's or a disk's delay */
export const READS_AHEAD: InFlightBounds = { items: 16, bytes: 32 * 1024 * 1024 };

/** Runs `read` on several items at once, within bounds, one at least, and gives the results in the order of the items. */
export async function* inFlight<Item, Read>(
  items: Iterable<Item>,
  bounds: InFlightBounds,
  sizeOf: (item: Item) => number,
  read: (item: Item) => Promise<Read>,
): AsyncGenerator<Read, void, undefined> {
  const running: { readonly bytes: number; readonly result: Promise<Read> }[] = [];
  let bytes = 0;
  const first = async (): Promise<Read> => {
    const oldest = running.shift()!;
    const result = await oldest.result;
    bytes -= oldest.bytes;
    return result;
  };
  try {
    for (const item of items) {
      while (running.length >= bounds.items || (running.length > 0 && bytes >= bounds.bytes)) yield await first();
      const result = awaitedLater(read(item));
      running.push({ bytes: sizeOf(item), result });
      bytes += sizeOf(item);
    }
    while (running.length > 0) yield await first();
  } finally {
    await Promise.allSettled(running.map(({ result }) => result));
  }
}
