import { setTimeout as sleep } from "node:timers/promises";
import type { ServerResponse } from "node:http";
import { z } from "zod";
import { thumbnailOf } from "../../../pipelines/console/image/thumbnails.js";
import { numberText, sha256Text } from "../../../schemas/api/shared.js";
import { messageOf, isSluiceError } from "../../../schemas/errors.js";
import type { Console } from "../console.js";
import type { Operation } from "../operation.js";
import { life, search } from "../operations/images.js";
import { labels } from "../operations/labels.js";
import { flow, kept, overview, status } from "../operations/overview.js";
import { review } from "../operations/review.js";
import { compare, teachers } from "../operations/teachers.js";
import { classes, classRows, diff, diffRows, tags, verify, version, versions } from "../operations/versions.js";
import { facets, wall } from "../operations/walls.js";
import { curve, whatif } from "../operations/whatif.js";
import { Refusal } from "../refusal.js";

/** A part of an answer: text (JSON), or a picture in base64. */
export type ToolContent =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image"; readonly data: string; readonly mimeType: string };

export interface ToolAnswer {
  readonly content: readonly ToolContent[];
  /** The call cannot be answered, and `content` says why */
  readonly isError?: true;
}

export interface Tool {
  readonly name: string;
  readonly description: string;
  readonly input: z.ZodObject;
  readonly run: (console: Console, given: Record<string, unknown>, signal: AbortSignal) => Promise<ToolAnswer>;
}

/** The calls of the API that read and answer with JSON, by the names that they have as tools. */
export const READING: Readonly<Record<string, Operation>> = {
  overview,
  status,
  flow,
  storage: kept,
  teachers,
  teacher_compare: compare,
  versions,
  tags,
  version,
  classes,
  class_rows: classRows,
  verify,
  diff,
  diff_rows: diffRows,
  wall,
  wall_filters: facets,
  whatif,
  whatif_curve: curve,
  image: life,
  search,
  review,
  labels,
};

/** How long an answer that is still being read is waited for, ms, and how often it is asked again */
const PATIENCE_MS = 60_000;
const AGAIN_MS = 200;

export function consoleTools(): Tool[] {
  return [...Object.entries(READING).map(([name, operation]) => toolOf(name, operation)), picture];
}

function toolOf(name: string, operation: Operation): Tool {
  const { summary, path, query } = operation;
  return {
    name,
    description: summary,
    input: z.strictObject({ ...path, ...query }),
    run: async (console, given, signal) => {
      const among = (names: object): Record<string, unknown> =>
        Object.fromEntries(Object.entries(given).filter(([one]) => one in names));
      const call = { console, path: among(path), query: among(query), body: undefined, signal };
      const untilMs = console.nowMs() + PATIENCE_MS;
      for (;;) {
        // Those that answer with JSON write nothing themselves.
        const made = await operation.run({ ...call, response: null as unknown as ServerResponse });
        if (!isPending(made) || console.nowMs() > untilMs || signal.aborted)
          return { content: [{ type: "text", text: JSON.stringify(made) }] };
        await sleep(AGAIN_MS);
      }
    },
  };
}

function isPending(made: unknown): boolean {
  return typeof made === "object" && made !== null && "pending" in made && made.pending !== null;
}

const SIDES = [96, 192, 384, 1024] as const;

const picture: Tool = {
  name: "picture",
  description: "the image itself, made anew from its pixels, small enough to be looked at",
  input: z.strictObject({
    sha256: sha256Text.describe("the SHA-256 of the image's bytes"),
    side: numberText(
      z.int().refine((side) => (SIDES as readonly number[]).includes(side), `expected one of ${SIDES.join(", ")}`),
    )
      .default(384)
      .describe("px"),
  }),
  run: async (console, given, signal) => {
    const { sha256, side } = given as { readonly sha256: string; readonly side: number };
    const { bytes, reason } = await console.finder.bytesOf(sha256, signal);
    if (bytes === null) return refused(`Expected the bytes of ${sha256}, found none: ${reason}.`);
    const made = await thumbnailOf(sha256, bytes, side);
    if (made === null) return refused(`Expected a picture, found ${bytes.length} bytes that do not decode.`);
    return { content: [{ type: "image", data: Buffer.from(made.bytes).toString("base64"), mimeType: made.type }] };
  },
};

function refused(message: string): ToolAnswer {
  return { content: [{ type: "text", text: message }], isError: true };
}

/** Validates what a tool is given, and runs it. What is wrong with the call is an answer, which names the field. */
export async function callTool(
  { input, run }: Tool,
  console: Console,
  given: unknown,
  signal: AbortSignal,
): Promise<ToolAnswer> {
  const parsed = input.safeParse(given ?? {});
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    const field = issue.path.map(String).join(".");
    return refused(`${field === "" ? "The arguments" : field}: ${issue.message}.`);
  }
  try {
    return await run(console, parsed.data, signal);
  } catch (error) {
    if (error instanceof Refusal || isSluiceError(error)) return refused(messageOf(error));
    throw error;
  }
}
