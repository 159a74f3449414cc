import type { ServerResponse } from "node:http";

/** Pages that watch at once; a browser opens one connection a page. */
const MOST_WATCHERS = 200;
/** A proxy closes what is silent, ms */
const BEAT_MS = 15_000;

/** Sends what happens to all pages that watch. */
export class EventStreams {
  readonly #open = new Set<ServerResponse>();

  get count(): number {
    return this.#open.size;
  }

  /** False where there are too many already */
  add(response: ServerResponse): boolean {
    if (this.#open.size >= MOST_WATCHERS) return false;
    response.writeHead(200, {
      "Content-Type": "text/event-stream; charset=utf-8",
      "Cache-Control": "no-store",
      "X-Accel-Buffering": "no",
    });
    response.write("retry: 1000\n\n");
    this.#open.add(response);
    const beat = setInterval(() => response.write(": still here\n\n"), BEAT_MS).unref();
    response.on("close", () => {
      clearInterval(beat);
      this.#open.delete(response);
    });
    return true;
  }

  send(event: string, value: unknown): void {
    const text = textOf(event, value);
    for (const response of this.#open) {
      // A page that does not take what it is sent misses a moment; the next one is whole.
      if (response.writableLength < 65_536) response.write(text);
    }
  }

  /** The same to one page, which has just come. */
  sendTo(response: ServerResponse, event: string, value: unknown): void {
    if (this.#open.has(response)) response.write(textOf(event, value));
  }

  close(): void {
    for (const response of this.#open) response.end();
  }
}

function textOf(event: string, value: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(value)}\n\n`;
}
