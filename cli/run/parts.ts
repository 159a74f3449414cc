import { randomBytes, randomUUID } from "node:crypto";
import type { FlowControl } from "../../pipelines/flow/flow-control.js";
import type { RunScoreResult } from "../../pipelines/kafka/run-score.js";
import type { RunTopkOptions, RunTopkResult } from "../../pipelines/kafka/run-topk.js";
import type { PublishedCut } from "../../pipelines/versions/cut-and-publish.js";
import type { ScoringParts } from "../../pipelines/open/open-scoring.js";
import type { Workspace } from "../../pipelines/open/workspace.js";
import type { Allowance } from "../../schemas/allowance.js";
import type { ModelCard } from "../../schemas/model-card.js";
import type { OnProgress } from "../../schemas/progress.js";
import { compactedText } from "../report/compacted.js";
import { ingestCounts } from "../report/ingest-counts.js";
import { publishedObject, publishedText } from "../report/published.js";
import { counted } from "../../schemas/counted.js";

/** One of the processes that a `sluice run` may have in it. */
export interface Part {
  /** Settles when it has ended, which it does when it is told to */
  readonly work: Promise<unknown>;
  /** What it has done, for people; null for nothing worth a line */
  text(): string | null;
  /** The same, for programs */
  object(): object;
}

/** What all parts of a process share. */
export interface PartContext extends Pick<
  RunTopkOptions,
  "config" | "kafka" | "log" | "store" | "observer" | "onWarning" | "signal" | "nowMs"
> {
  readonly note: (line: string) => void;
}

/** `workspace` and `scoring` are the scorer's own. */
export async function scorePart(
  context: PartContext,
  own: {
    readonly workspace: Workspace;
    readonly scoring: ScoringParts;
    readonly control: FlowControl;
    readonly onProgress: OnProgress;
  },
): Promise<Part> {
  const { runScore } = await import("../../pipelines/kafka/run-score.js");
  let done: RunScoreResult | null = null as RunScoreResult | null;
  return {
    work: runScore({ ...context, ...own }).then((result) => (done = result)),
    text: () => (done === null ? null : ingestCounts(done.counts)),
    object: () => (done === null ? {} : { counts: done.counts, forwardedAgain: done.forwardedAgain }),
  };
}

/** Throws E_MEMORY where the states cannot fit. */
export async function topkPart(
  context: PartContext,
  own: { readonly card: ModelCard; readonly checkpointMs: number },
): Promise<Part> {
  const { runTopk } = await import("../../pipelines/kafka/run-topk.js");
  const { assertFits } = await import("../../pipelines/flow/memory-estimate.js");
  assertFits(context.config, own.card);
  let done: RunTopkResult | null = null as RunTopkResult | null;
  const work = runTopk({
    ...context,
    ...own,
    onRestored: ({ shard, tookMs, records }) => {
      const after = `${(tookMs / 1000).toFixed(1)} s`;
      context.note(`shard ${shard.index} of ${shard.count}: ready after ${after}, over ${counted(records, "record")}`);
    },
  });
  return {
    work: work.then((result) => (done = result)),
    text: () => (done === null ? null : `Kept the best of ${counted(done.segments, "segment")}.`),
    object: () => (done === null ? {} : { keptSegments: done.segments }),
  };
}

/** With the labels: a version heeds what has been taken in. */
export async function publishPart(
  context: PartContext,
  own: { readonly card: ModelCard; readonly judgeMs: number; readonly allow: Allowance },
): Promise<Part> {
  const { runPublish } = await import("../../pipelines/kafka/run-publish.js");
  const { runLabels } = await import("../../pipelines/kafka/run-labels.js");
  const { publishingParts } = await import("../../pipelines/open/open-scoring.js");
  const { declarationWatch } = await import("../../pipelines/open/declare.js");
  const { config, store, note } = context;
  const mayPublish = await declarationWatch(store, config.stream);
  const published: PublishedCut[] = [];
  const onPublished = (one: PublishedCut): void => {
    published.push(one);
    note(publishedText(one, store.place));
  };
  const names = (): string => published.map(({ manifest }) => `${manifest.dataset}/${manifest.number}`).join(", ");
  return {
    work: Promise.all([
      runPublish({ ...publishingParts(config), ...context, ...own, mayPublish, onPublished, newId: randomUUID }),
      runLabels(context),
    ]),
    text: () => (published.length === 0 ? null : `Published ${names()}.`),
    object: () => ({ published: published.map((one) => publishedObject(one, store.place)) }),
  };
}

export async function compactPart(
  context: PartContext,
  own: { readonly everyMs: number; readonly olderThanMs: number },
): Promise<Part> {
  const { runCompact } = await import("../../pipelines/kafka/run-compact.js");
  const { stream } = context.config;
  let segments = 0;
  const work = runCompact({
    ...context,
    ...own,
    stream,
    attempt: () => randomBytes(6).toString("hex"),
    onCompacted: (teacher, one) => {
      segments += one.segments;
      context.note(compactedText({ ...one, teacher, stream, dryRun: false }));
    },
  });
  return {
    work,
    text: () => (segments === 0 ? null : `Compacted ${counted(segments, "segment")}.`),
    object: () => ({ compactedSegments: segments }),
  };
}
