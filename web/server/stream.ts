import type { ServerResponse } from "node:http";
import { once } from "node:events";

/** Sends chunks as they come, no faster than they are taken. What fails before the first is an answer of its own. */
export async function stream(
  response: ServerResponse,
  type: string,
  name: string,
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const each = chunks[Symbol.asyncIterator]();
  let next = await each.next();
  response.writeHead(200, {
    "Content-Type": type,
    "Cache-Control": "no-store",
    "Content-Disposition": `attachment; filename="${name.replace(/[^A-Za-z0-9._-]/g, "_")}"`,
  });
  try {
    for (; next.done !== true && !signal.aborted; next = await each.next()) {
      if (!response.write(next.value)) await once(response, "drain", { signal });
    }
  } catch (error) {
    if (signal.aborted) return;
    // The status is out: the server breaks the connection off, which says that this is not all.
    throw error;
  } finally {
    await each.return?.(undefined);
  }
  response.end();
}
