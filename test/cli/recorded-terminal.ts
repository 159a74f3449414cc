import { EventEmitter } from "node:events";
import { Readable, Writable } from "node:stream";
import type { OutputStream, Terminal } from "../../cli/terminal.js";

class RecordedStream extends Writable {
  text = "";
  constructor(readonly isTTY: boolean) {
    super();
  }
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString("utf8");
    done();
  }
}

export interface RecordedTerminal extends Terminal {
  readonly stdout: OutputStream & { readonly text: string };
  readonly stderr: OutputStream & { readonly text: string };
  readonly signals: EventEmitter;
  /** What `exit` was called with */
  readonly exits: number[];
  /** ms that the clock shows */
  atMs: number;
}

/** A terminal whose output is kept, whose clock stands until it is set, and whose signals a test sends. */
export function recordedTerminal(
  options: { folder?: string; environment?: Record<string, string>; isTTY?: boolean } = {},
): RecordedTerminal {
  const { folder = "/nowhere", environment = {}, isTTY = false } = options;
  const exits: number[] = [];
  const terminal: RecordedTerminal = {
    stdin: Readable.from([]),
    stdout: new RecordedStream(false),
    stderr: new RecordedStream(isTTY),
    environment,
    folder,
    atMs: 0,
    nowMs: () => terminal.atMs,
    signals: new EventEmitter(),
    exits,
    exit: (code) => {
      exits.push(code);
    },
  };
  return terminal;
}
