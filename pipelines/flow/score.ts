import type { Assignment } from "../../connectors/log/log.js";
import { openLiveChains } from "../../operators/archive/chain.js";
import { readClaims, unclaimed } from "../../operators/archive/chain-claims.js";
import { saveCard } from "../../operators/archive/teacher-registry.js";
import { messageOf, SluiceError } from "../../schemas/errors.js";
import type { Frontier } from "../../schemas/frontier.js";
import { groupName } from "../../schemas/kafka-names.js";
import { teacherDigest } from "../../schemas/model-card.js";
import { chainScoring, frontierOf, scoreChain, type ChainScoringOptions, type OpenChain } from "./chain-scoring.js";
import type { Downstream } from "./downstream.js";
import { assertReaches, assertSameLog } from "./log-continues.js";

export interface ScoreTopicOptions extends Omit<ChainScoringOptions, "downstream"> {
  /**
   * Where each partition ends for this run: scoring goes on until there, in each partition whatever becomes of the others. null: for
   * ever; then a partition that fails for good ends scoring, since nobody would notice that it stands still.
   */
  readonly until: Promise<readonly number[]> | null;
  /** `until` comes only where somebody asks for an end: till then it is as with null */
  readonly isEndless?: boolean | undefined;
  /** Runs a partition's work, and begins it anew after what may succeed another time, while the others go on. Default: once */
  readonly retry?: (work: () => Promise<void>, signal: AbortSignal) => Promise<void>;
  /** Opens what follows scoring, with what the archive has up to `frontier`, where scoring starts */
  readonly downstream: (frontier: Frontier) => Promise<Downstream>;
  readonly onWarning?: (message: string) => void;
  /** Ends reading; what was read is scored and archived */
  readonly signal: AbortSignal;
}

/**
 * log -> fetch -> dedupe -> decode -> score -> archive -> downstream, for every partition that this process is given. Resumes
 * at the archive's end. Returns the frontier reached.
 */
export async function scoreTopic(options: ScoreTopicOptions): Promise<Frontier> {
  const { config, log, store, card, signal } = options;
  const { stream } = config;
  const teacher = teacherDigest(card);
  await saveCard(store, card);
  const { chains, replays } = await openChains(options, teacher);
  const archived = (): Frontier => frontierOf([...replays, ...chains]);
  const downstream = await options.downstream(archived());
  const scoring = chainScoring({ ...options, downstream });
  options.observer?.take({ event: "loop.ready", loop: "score" });
  const scorePartition = async (given: Assignment, open: OpenChain): Promise<void> => {
    const until =
      options.until === null
        ? new Promise<never>(() => undefined)
        : options.until.then((ends) => ends[given.partition]!);
    await scoreChain(open, { given, until }, scoring);
  };
  const { retry = (work: () => Promise<void>): Promise<void> => work() } = options;
  const failures: unknown[] = [];
  const consumePartition = async (assignment: Assignment): Promise<void> => {
    const open = chains[assignment.partition];
    // No retry of this partition's own mends that: only a session that begins anew has its chain.
    if (open === undefined) throw partitionAdded(stream, assignment.partition);
    try {
      await retry(() => scorePartition(assignment, open), assignment.signal);
    } catch (error) {
      if (options.until === null || options.isEndless === true || assignment.signal.aborted) throw error;
      failures.push(error);
      if (chains.length > 1) {
        const place = `${stream}/${assignment.partition}`;
        options.onWarning?.(`Scoring of ${place} has failed; the other partitions go on. ${messageOf(error)}`);
      }
    }
  };
  try {
    await log.consume(stream, groupName(config, "score", teacher), consumePartition, signal);
  } finally {
    await downstream.close();
  }
  if (failures.length > 0) throw failures[0];
  return archived();
}

/** Retryable: scoring that begins anew has it. */
function partitionAdded(stream: string, partition: number): SluiceError {
  return new SluiceError(
    "E_LOG_IO",
    `Expected the partitions that topic "${stream}" had as scoring began, found a new one, ${partition}. Start scoring anew.`,
    { retryable: true },
  );
}

/**
 * The live chain of each partition, by partition, and where it ends: a scorer resumes there, whatever its group has committed.
 * `replays`: the other chains of this teacher, as far as they have come.
 */
async function openChains(
  options: ScoreTopicOptions,
  teacher: string,
): Promise<{ readonly chains: readonly OpenChain[]; readonly replays: readonly OpenChain[] }> {
  const { log, store, index, config } = options;
  const { stream } = config;
  await assertSameLog(log, store, stream, { always: true, onUntold: options.onWarning });
  const ends = await log.ends(stream);
  const starts = ends.map(({ start }) => start);
  const chains: OpenChain[] = [];
  for (const chain of await openLiveChains(store, { teacher, stream }, starts)) {
    const open = { chain, position: await index.catchUp(chain) };
    const { partition } = chain;
    await assertReaches(log, { stream, partition, chainEnd: open.position.end }, ends[partition]!.end);
    chains.push(open);
    if (chain.origin > 0 && open.position.end === chain.origin && chain.origin === starts[partition]) {
      options.onWarning?.(
        `${stream}/${partition} starts at offset ${chain.origin}: what lay before was removed before this teacher first read it. It is neither counted as in nor as lost.`,
      );
    }
  }
  const replays: OpenChain[] = [];
  const claimed = await readClaims(store, { teacher, stream });
  for (const { partition, origin, end } of claimed) {
    const chain = { teacher, stream, partition, origin };
    if (end !== null) replays.push({ chain, position: await index.catchUp(chain) });
  }
  const gaps = starts.flatMap((start, partition) =>
    unclaimed(claimed, partition, start).map((gap) => `${partition}:[${gap.start}, ${gap.end})`),
  );
  if (gaps.length > 0) {
    options.onWarning?.(
      `Before what this teacher has replayed lie records that it never scores: ${gaps.join(", ")} of ${stream}. \`sluice replay\` does.`,
    );
  }
  return { chains, replays };
}
