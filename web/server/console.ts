import type { ComparedTeachers } from "../../pipelines/console/compared-teachers.js";
import type { ClassDrift } from "../../pipelines/console/class-shares.js";
import type { ClassWalls } from "../../pipelines/console/wall/class-wall.js";
import type { HeldSelections } from "../../pipelines/console/held-selections.js";
import type { HeldManifests } from "../../pipelines/console/held-manifests.js";
import type { ImageFinder } from "../../pipelines/console/image/image-finder.js";
import type { HeldDifferences } from "../../pipelines/console/held-differences.js";
import type { KeptParts } from "../../pipelines/console/kept-bytes.js";
import type { StandingAnswer } from "../../pipelines/console/standing-answer.js";
import type { StatusSeen } from "../../pipelines/status-seen.js";
import type { LiveFigures } from "../../pipelines/console/live-figures.js";
import type { DrawnRows } from "../../pipelines/console/review/drawn-rows.js";
import type { LowConfidenceQueues } from "../../pipelines/console/review/low-confidence.js";
import type { SaidLabels } from "../../pipelines/console/review/said-labels.js";
import type { LabelTopic } from "../../pipelines/kafka/take-in-labels.js";
import type { Declarations } from "../../pipelines/open/declare.js";
import type { openStore } from "../../pipelines/open/workspace.js";
import type { IndexGroups } from "../../pipelines/versions/index-groups.js";
import type { Config } from "../../schemas/config.js";

import { Refusal } from "./refusal.js";

export type OpenedStore = Awaited<ReturnType<typeof openStore>>;

/** The settings as they are declared now. */
export interface Settings {
  readonly config: Config;
  readonly declared: Declarations;
}

/** What every operation of the console works on. */
export interface Console {
  readonly store: OpenedStore;
  /** Read anew every few seconds: another process may declare something */
  readonly settings: () => Promise<Settings>;
  readonly manifests: HeldManifests;
  readonly groups: IndexGroups;
  readonly drawn: DrawnRows;
  readonly walls: ClassWalls;
  readonly held: HeldSelections;
  readonly finder: ImageFinder;
  readonly live: LiveFigures;
  readonly said: SaidLabels;
  readonly drift: ClassDrift;
  readonly compared: ComparedTeachers;
  readonly unsure: LowConfidenceQueues;
  readonly kept: StandingAnswer<KeptParts>;
  readonly status: StandingAnswer<StatusSeen>;
  readonly differences: HeldDifferences;
  /** Whose name stands on what is said here, unless the page gives another */
  readonly author: string;
  readonly readOnly: boolean;
  readonly nowMs: () => number;
  /** A line for the log of actions: who did what */
  readonly logAction: (line: string) => void;
  /** The labels topic where there is a Kafka cluster; null where labels go straight into the archive */
  readonly withLabelTopic: <T>(work: (topic: LabelTopic | null) => Promise<T>) => Promise<T>;
}

/** Throws 403 where nothing may be written here. */
export function assertMayWrite({ readOnly }: Pick<Console, "readOnly">): void {
  if (!readOnly) return;
  const message = "Expected a console that may write, found a read-only one. Start `sluice serve` without --read-only.";
  throw new Refusal(403, "E_USAGE", message);
}
