import { createInterface } from "node:readline";
import { openConsole, type OpenConsoleOptions } from "../open-console.js";
import { McpSession } from "./session.js";

export interface McpOptions extends Omit<OpenConsoleOptions, "onRead" | "readOnly" | "logAction" | "withLabelTopic"> {
  /** Messages, one a line */
  readonly input: NodeJS.ReadableStream;
  readonly output: NodeJS.WritableStream;
}

/** Answers a client over lines of text until its end, or until the signal aborts. Nothing is written to the store. */
export async function serveMcp({ input, output, signal, onFault, ...options }: McpOptions): Promise<void> {
  const console = await openConsole({
    ...options,
    signal,
    onFault,
    onRead: () => undefined,
    readOnly: true,
    logAction: () => undefined,
    withLabelTopic: (work) => work(null),
  });
  const session = new McpSession(console, onFault);
  const lines = createInterface({ input, signal });
  const running = new Set<Promise<void>>();
  const answer = async (text: string): Promise<void> => {
    const said = await session.take(text);
    if (said !== null) output.write(said);
  };
  lines.on("line", (text) => {
    if (text.trim() === "") return;
    // Calls are answered as they are ready, in whatever order.
    const one = answer(text).finally(() => running.delete(one));
    running.add(one);
  });
  await new Promise<void>((done) => lines.on("close", done));
  session.close();
  await Promise.allSettled(running);
}
