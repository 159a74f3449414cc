import { z } from "zod";
import { CODE_VERSION } from "../../../schemas/code-version.js";
import { messageOf } from "../../../schemas/errors.js";
import type { Console } from "../console.js";
import { callTool, consoleTools, type Tool } from "./tools.js";

/** Revisions of the protocol that are spoken, the newest first. 2025-03-26 is none of them: it alone asks for several messages in one. */
export const REVISIONS = ["2025-11-25", "2025-06-18", "2024-11-05"] as const;

/** Codes of JSON-RPC 2.0 */
const FAULTS = { parse: -32_700, request: -32_600, method: -32_601, params: -32_602, internal: -32_603 } as const;

const idSchema = z.union([z.string(), z.number()]);
const messageSchema = z.looseObject({
  jsonrpc: z.literal("2.0"),
  /** None: a notification, which nobody answers */
  id: idSchema.optional(),
  method: z.string(),
  params: z.looseObject({}).optional(),
});
const initializeSchema = z.looseObject({ protocolVersion: z.string() });
const callSchema = z.looseObject({ name: z.string(), arguments: z.looseObject({}).optional() });
const cancelSchema = z.looseObject({ requestId: idSchema });

const INSTRUCTIONS =
  "Sluice chooses, from an endless stream of unlabelled images, the best of each class under a teacher. Begin with `overview` and `classes`; " +
  "`wall` shows how a class is ranked now, `picture` shows an image, `whatif` what another K would give. Nothing here writes.";

type Id = z.infer<typeof idSchema> | null;
type Answer = { readonly result: object } | { readonly error: { readonly code: number; readonly message: string } };

/**
 * One client of the Model Context Protocol: the part of it that tools need (initialize, ping, tools/list, tools/call). Takes a message as
 * text, and returns the answer as text; null where none is due.
 */
export class McpSession {
  readonly #console: Console;
  readonly #tools: ReadonlyMap<string, Tool>;
  readonly #onFault: (message: string) => void;
  readonly #running = new Map<Id, AbortController>();

  constructor(console: Console, onFault: (message: string) => void) {
    this.#console = console;
    this.#tools = new Map(consoleTools().map((tool) => [tool.name, tool]));
    this.#onFault = onFault;
  }

  async take(text: string): Promise<string | null> {
    const message = parsed(text);
    if ("error" in message) return line(null, message);
    const { id, method, params } = message.value;
    if (id === undefined) {
      if (method === "notifications/cancelled") this.#cancel(params);
      return null;
    }
    try {
      return line(id, await this.#answer(id, method, params));
    } catch (error) {
      this.#onFault(messageOf(error));
      return line(id, fault("internal", "The server met an error of its own; its log has it."));
    } finally {
      this.#running.delete(id);
    }
  }

  close(): void {
    for (const running of this.#running.values()) running.abort();
  }

  #cancel(params: unknown): void {
    const cancel = cancelSchema.safeParse(params);
    if (cancel.success) this.#running.get(cancel.data.requestId)?.abort();
  }

  async #answer(id: Id, method: string, params: unknown): Promise<Answer> {
    switch (method) {
      case "initialize": {
        const asked = initializeSchema.safeParse(params);
        if (!asked.success) return fault("params", "Expected params.protocolVersion, a text.");
        const revision = REVISIONS.find((one) => one === asked.data.protocolVersion) ?? REVISIONS[0];
        return {
          result: {
            protocolVersion: revision,
            capabilities: { tools: {} },
            serverInfo: { name: "sluice", version: CODE_VERSION },
            instructions: INSTRUCTIONS,
          },
        };
      }
      case "ping":
        return { result: {} };
      case "tools/list":
        return { result: { tools: [...this.#tools.values()].map(listed) } };
      case "tools/call": {
        const call = callSchema.safeParse(params);
        if (!call.success)
          return fault("params", "Expected params.name, a tool's name, and params.arguments, an object.");
        const tool = this.#tools.get(call.data.name);
        if (tool === undefined) {
          const names = [...this.#tools.keys()].join(", ");
          return fault("params", `Expected one of the tools ${names}, found "${call.data.name.slice(0, 100)}".`);
        }
        const running = new AbortController();
        this.#running.set(id, running);
        return { result: await callTool(tool, this.#console, call.data.arguments, running.signal) };
      }
      default:
        return fault("method", `Expected initialize, ping, tools/list or tools/call, found "${method.slice(0, 100)}".`);
    }
  }
}

function listed({ name, description, input }: Tool): object {
  const { $schema: draft, ...inputSchema } = z.toJSONSchema(input, {
    io: "input",
    unrepresentable: "any",
    reused: "inline",
  });
  return {
    name,
    description,
    inputSchema: draft === undefined ? {} : inputSchema,
    annotations: { readOnlyHint: true, openWorldHint: false },
  };
}

type Message = z.infer<typeof messageSchema>;

function parsed(text: string): { readonly value: Message } | Extract<Answer, { error: object }> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return fault("parse", "Expected a message of JSON on a line of its own, found text that does not read as such.");
  }
  const message = messageSchema.safeParse(json);
  return message.success
    ? { value: message.data }
    : fault("request", "Expected a request of JSON-RPC 2.0 with a method.");
}

function fault(kind: keyof typeof FAULTS, message: string): Extract<Answer, { error: object }> {
  return { error: { code: FAULTS[kind], message } };
}

function line(id: Id, answer: Answer): string {
  return `${JSON.stringify({ jsonrpc: "2.0", id, ...answer })}\n`;
}
