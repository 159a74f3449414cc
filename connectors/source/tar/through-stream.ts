import type { Transform } from "node:stream";

/**
 * What a stream of Node makes of chunks. All that lies before a place where they break off is given before the error is thrown:
 * a stream that is piped loses what it holds when it fails.
 */
export async function* throughStream(
  chunks: AsyncIterable<Uint8Array>,
  open: () => Transform,
): AsyncGenerator<Uint8Array> {
  const stream = open();
  let ready: Uint8Array[] = [];
  const failures: Error[] = [];
  stream.on("data", (chunk: Uint8Array) => ready.push(chunk));
  const closed = new Promise<void>((resolve) => {
    stream.once("close", resolve);
  });
  stream.on("error", (error: Error) => {
    failures.push(error);
  });
  try {
    for await (const chunk of chunks) {
      const written = new Promise<void>((resolve) => {
        stream.write(chunk, () => {
          resolve();
        });
      });
      await Promise.race([written, closed]);
      const now = ready;
      ready = [];
      yield* now;
      if (stream.destroyed) break;
    }
    stream.end();
    await closed;
    yield* ready;
    if (failures[0] !== undefined) throw failures[0];
  } finally {
    stream.destroy();
  }
}
