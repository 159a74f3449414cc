import { ComparedTeachers } from "../../pipelines/console/compared-teachers.js";
import { ClassDrift } from "../../pipelines/console/class-shares.js";
import { ClassWalls } from "../../pipelines/console/wall/class-wall.js";
import { HeldManifests } from "../../pipelines/console/held-manifests.js";
import { HeldSelections } from "../../pipelines/console/held-selections.js";
import { ImageFinder } from "../../pipelines/console/image/image-finder.js";
import { HeldDifferences } from "../../pipelines/console/held-differences.js";
import { keptParts } from "../../pipelines/console/kept-bytes.js";
import { StandingAnswer } from "../../pipelines/console/standing-answer.js";
import { statusSeen } from "../../pipelines/status-seen.js";
import { LiveFigures } from "../../pipelines/console/live-figures.js";
import { DrawnRows } from "../../pipelines/console/review/drawn-rows.js";
import { LowConfidenceQueues } from "../../pipelines/console/review/low-confidence.js";
import { SaidLabels } from "../../pipelines/console/review/said-labels.js";
import { memoryLimit } from "../../pipelines/flow/memory-estimate.js";
import { publishingParts } from "../../pipelines/open/open-scoring.js";
import { IndexGroups } from "../../pipelines/versions/index-groups.js";
import type { Console, OpenedStore, Settings } from "./console.js";

export interface OpenConsoleOptions extends Pick<
  Console,
  "author" | "readOnly" | "nowMs" | "logAction" | "withLabelTopic"
> {
  readonly store: OpenedStore;
  /** Reads what is declared now */
  readonly settings: () => Promise<Settings>;
  /** A ranking was read, or cannot be: those who wait may ask again */
  readonly onRead: () => void;
  /** Errors of our own, for the log */
  readonly onFault: (message: string) => void;
  readonly signal: AbortSignal;
}

/** How long what a store takes is taken to stand: it is listed whole for it, ms */
const KEPT_MS = 60_000;
/** How long a status stands at least, ms: each dataset's state is read for it, once for all pages */
const STATUS_MS = 2000;
/** How long declarations are taken to stand, ms */
const FRESH_MS = 2000;

/** What operations work on. Throws what reading the settings throws. */
export async function openConsole(options: OpenConsoleOptions): Promise<Console> {
  const { store, nowMs, signal, onRead, onFault } = options;
  const settings = remembered(options.settings, nowMs);
  const first = await settings();
  let standing = first;
  const groups = new IndexGroups(store);
  const { opener } = publishingParts(first.config);
  const { stream } = first.config;
  const said = new SaidLabels(store, stream, nowMs);
  return {
    ...options,
    settings: async () => (standing = await settings()),
    manifests: new HeldManifests(store, nowMs),
    groups,
    drawn: new DrawnRows(groups),
    walls: new ClassWalls(store, groups, stream, nowMs),
    held: new HeldSelections({
      store,
      // Half for rankings; the other half for rows that are looked at, and for what else runs here.
      maxStateBytes: memoryLimit() / 2,
      nowMs,
      onChange: onRead,
      signal,
    }),
    finder: new ImageFinder({ store, opener, stream, nowMs, isErased: (sha256) => said.isErased(sha256) }),
    live: new LiveFigures({ config: () => standing.config, store, nowMs, onFault }),
    said,
    drift: new ClassDrift(store),
    compared: new ComparedTeachers({ store, stream, nowMs, signal }),
    unsure: new LowConfidenceQueues(store, nowMs),
    kept: new StandingAnswer(() => keptParts(store), KEPT_MS, nowMs),
    status: new StandingAnswer(() => statusSeen(standing.config, store, null, nowMs()), STATUS_MS, nowMs),
    differences: new HeldDifferences(store),
  };
}

/** What is declared, read at most every two seconds; a moment's failure leaves what stood. */
function remembered(read: () => Promise<Settings>, nowMs: () => number): () => Promise<Settings> {
  let held: Promise<Settings> | null = null;
  let atMs = Number.NEGATIVE_INFINITY;
  return async () => {
    if (held !== null && nowMs() - atMs < FRESH_MS) return held;
    const before = held;
    atMs = nowMs();
    held = read().catch((error: unknown) => {
      if (before === null) {
        held = null;
        throw error;
      }
      return before;
    });
    return held;
  };
}
