import { SeededRandom } from "../../operators/training/seeded-random.js";
import { sha256Hex } from "../../schemas/canonical.js";
import type { Frontier } from "../../schemas/frontier.js";
import { teacherDigest, type ModelCard } from "../../schemas/model-card.js";
import type { RunHead } from "../../schemas/run.js";
import type { Bug } from "./bug.js";
import { Crew } from "./crew.js";
import { isWrittenOnce, staysForEver } from "./deciding-keys.js";
import { checkInvariants, checkPacks } from "./invariants.js";
import { decodeLabelSegment } from "../../schemas/image-label.js";
import { liveOrigin, readArchive, readSegment } from "./model.js";
import { compaction as compactionOf, handCut, label, replay, retry, TEACHER, type Place } from "./participants.js";
import { drawLabels, drawRecord, drawScenario, type Action, type Scenario } from "./scenario.js";
import { READ_RECORDS, SimLog } from "./sim-log.js";
import { SimStore } from "./sim-store.js";
import { CARD, imageOf, OTHER_CARD } from "./sim-teacher.js";
import { labelOnTopic } from "./topic-participants.js";
import { TopicWitness } from "./topic-witness.js";
import { collection, declareAll, erasure } from "./upkeep-participants.js";
import { keptForGood, packsByDigest } from "./upkeep-rows.js";
import { World, type SimProcess } from "./world.js";

export interface SeedOutcome {
  readonly seed: number;
  /** Of the whole trace: equal runs have equal digests */
  readonly digest: string;
  readonly steps: number;
  readonly processes: number;
  readonly segments: number;
  readonly versions: number;
  readonly violation: { readonly invariant: string; readonly message: string } | null;
  readonly lastLines: readonly string[];
}

/** Steps after which a run that has not come to rest counts as stuck */
const MOST_STEPS = 40_000;
const NIGHT_MS = 7 * 3600 * 1000;
/** Of these, most that what follows scoring may take to come to its end in the calm */
const SETTLING_STEPS = 6_000;

class Simulation {
  readonly #random: SeededRandom;
  readonly #scenario: Scenario;
  /** Decides when somebody compacts: apart, so that seeds without it are what they were */
  readonly #compacting: SeededRandom;
  /** Decides when somebody collects or erases, and what: apart, too */
  readonly #upkeeping: SeededRandom;
  #collected = false;
  #overnight = false;
  /** Decides when somebody labels images, and what they say: apart, too */
  readonly #labelling: SeededRandom;
  readonly #world: World;
  readonly #place: Place;
  readonly #seed: number;
  readonly #crew: Crew;
  readonly #topics: TopicWitness;
  readonly #checkpoints = new Map<string, Frontier[]>();
  readonly #manifests = new Map<string, string>();
  /** Records read and not archived, by process and partition */
  readonly #handedOut = new Map<string, number>();
  readonly #eaten: number[];
  #produced = 0;
  #segments = 0;
  #replays = 0;

  constructor(seed: number, bug: Bug | null) {
    this.#seed = seed;
    this.#scenario = drawScenario(seed);
    this.#random = new SeededRandom(seed, "actions");
    this.#compacting = new SeededRandom(seed, "compacting");
    this.#labelling = new SeededRandom(seed, "labels");
    this.#upkeeping = new SeededRandom(seed, "upkeeping");
    const world = new World(seed);
    this.#world = world;
    const { config } = this.#scenario;
    this.#place = {
      world,
      store: new SimStore(world),
      log: new SimLog(world, config),
      seed,
      side: this.#scenario.side,
      config,
      lateFromMs: world.nowMs + this.#random.below(15_000),
      scored: new Map(),
      said: [],
      erased: new Map(),
      undecided: new Set(),
      replayed: new Set(),
      bug,
      onArchived: (process, partition, count) => {
        const name = `${process.name}/${partition}`;
        this.#handedOut.set(name, (this.#handedOut.get(name) ?? 0) - count);
      },
    };
    this.#eaten = Array.from({ length: config.partitions }, () => 0);
    world.faults = { ...this.#scenario.faults };
    world.squalls = { ...this.#scenario.squalls };
    this.#crew = new Crew(this.#place, this.#scenario, new SeededRandom(seed, "crew"));
    this.#crew.scorersWait = this.#scenario.replaysFirst;
    this.#topics = new TopicWitness(this.#place);
    this.#place.store.onWritten = (key, bytes, before, process) => {
      this.#onWritten(key, bytes, before, process);
    };
    this.#crew.onStall = (process, what) => this.#staysOvernight(process, what);
    this.#place.store.onDelete = (key) => {
      if (staysForEver(key)) world.violate("immutable", `${key} is deleted`);
    };
    this.#place.log.onRead = (process, partition, records) => {
      this.#onRead(process, partition, records);
    };
  }

  async run(): Promise<SeedOutcome> {
    return this.#world.withTimers(() => this.#run());
  }

  async #run(): Promise<SeedOutcome> {
    const world = this.#world;
    try {
      await declareAll(this.#place);
      await this.#storm();
      const drained = await this.#calm();
      if (world.violations.length === 0) await this.#check(drained);
      if (world.violations.length === 0 && this.#scenario.recreates) await this.#recreate();
    } catch (error) {
      world.violate("simulation", error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
    for (let one = this.#crew.first; one !== undefined; one = this.#crew.first) world.kill(one);
    const first = world.violations[0];
    return {
      seed: this.#seed,
      digest: world.traceDigest(),
      steps: world.steps,
      processes: this.#crew.started,
      segments: this.#segments,
      versions: this.#manifests.size,
      violation: first === undefined ? null : { invariant: first.invariant, message: first.message },
      lastLines: world.lastLines,
    };
  }

  /** Everything happens at once, until all records are produced. */
  async #storm(): Promise<void> {
    const { chances, records } = this.#scenario;
    while (this.#produced < records && this.#goesOn()) {
      this.#crew.fill();
      this.#replayFirst();
      for (const action of Object.keys(chances) as Action[]) {
        if (this.#random.below(1000) < chances[action]) this.#act(action);
      }
      const { chance } = this.#scenario.compaction;
      if (chance > 0 && this.#compacting.below(1000) < chance) this.#compact();
      this.#keepUp();
      if (this.#labelling.below(1000) < this.#scenario.labelling) this.#label();
      if (!(await this.#world.step())) this.#world.nowMs += 50;
    }
  }

  /** Somebody frees what nobody needs, or images are erased. */
  #keepUp(): void {
    const { collecting, erasing } = this.#scenario.upkeep;
    const random = this.#upkeeping;
    if (collecting > 0 && random.below(1000) < collecting) this.#collect();
    if (erasing === 0 || random.below(1000) >= erasing) return;
    const digests = Array.from({ length: random.below(3) }, () =>
      sha256Hex(imageOf(Math.min(random.below(this.#scenario.images), random.below(this.#scenario.images)))),
    );
    this.#crew.byHand((place, process) => erasure(place, process, { digests, isAlone: false }));
  }

  #collect(): void {
    const { upkeep, chances } = this.#scenario;
    this.#collected = true;
    // The grace is longer than clocks are apart.
    const graceMs = chances.clock > 0 ? 70_000 : upkeep.graceMs;
    this.#crew.byHand((place, process) => collection(place, process, graceMs));
  }

  /** Nobody else is at work any more: what was erased is gone afterwards, and what nobody needs once nights have passed. */
  async #keepUpAlone(): Promise<void> {
    const { world } = this.#place;
    const ended = (): Promise<void> => this.#until(() => this.#crew.hands === 0, false);
    world.squalls = { chance: 0, most: 0 };
    if (this.#scenario.upkeep.erasing > 0) {
      const rows = readArchive(this.#originals).flatMap(({ segments }) => segments.flatMap((one) => one.rows));
      const digests = this.#upkeeping.shuffle([...packsByDigest(rows).keys()].sort()).slice(0, 2);
      // One that may be killed anywhere, and one that goes on with it.
      world.faults = { errors: 10, crashes: 20, slow: 0 };
      this.#crew.byHand((place, process) => erasure(place, process, { digests, isAlone: true }));
      await ended();
      world.faults = { errors: 0, crashes: 0, slow: 0 };
      this.#crew.byHand((place, process) => erasure(place, process, { digests: [], isAlone: true }));
      await ended();
    }
    if (!this.#collected || world.violations.length > 0) return;
    const chains = readArchive(this.#originals);
    const kept = await keptForGood(this.#place, chains);
    for (let night = 0; night < 3 && this.#goesOn(); night++) {
      world.nowMs += NIGHT_MS;
      this.#collect();
      await ended();
    }
    const left = await keptForGood(this.#place, chains);
    for (const sha256 of kept)
      if (!left.has(sha256)) world.violate("bytes", `${sha256}, of a version or labelled, is not kept any more`);
  }

  /** In some seeds a scorer that stands still does so overnight, while others compact and sweep. */
  #staysOvernight(process: SimProcess, what: string): boolean {
    const { world } = this.#place;
    const { compaction } = this.#scenario;
    if (this.#overnight || this.#collected || compaction.chance === 0 || !what.includes(".arrow")) return false;
    if (this.#scenario.upkeep.collecting > 0) return false;
    this.#overnight = true;
    const compacts = (): void => {
      const { segmentsPerRun } = compaction;
      this.#crew.byHand((place, hand) =>
        compactionOf(place, hand, { teacher: TEACHER, segmentsPerRun, sweepAfterMs: 0 }),
      );
    };
    world.log(`${process.name} stands still overnight`);
    world.later(800, compacts);
    world.later(2_500, () => {
      world.nowMs += NIGHT_MS;
      world.log("a night passes");
      compacts();
    });
    world.later(4_000 + NIGHT_MS, () => {
      process.frozen = false;
      world.log(`${process.name} goes on`);
    });
    return true;
  }

  #label(): void {
    const labels = drawLabels(this.#labelling, this.#scenario, this.#world.nowMs);
    // Without a topic also where there is one: both count.
    const onTopic = this.#scenario.side === "topics" && this.#labelling.below(4) > 0;
    this.#crew.byHand((place, process) => (onTopic ? labelOnTopic : label)(place, process, labels));
  }

  #compact(): void {
    const { segmentsPerRun, sweepAfterMs } = this.#scenario.compaction;
    const teacher = this.#place.replayed.size > 0 ? this.#compacting.pick([TEACHER, OTHER]) : TEACHER;
    this.#crew.byHand((place, process) => compactionOf(place, process, { teacher, segmentsPerRun, sweepAfterMs }));
  }

  /** Nothing fails any more; what was appended must reach the archive, and every process come to its end. */
  async #calm(): Promise<readonly number[] | null> {
    const world = this.#world;
    world.faults = { errors: 0, crashes: 0, slow: 0 };
    world.log("calm");
    this.#crew.calm();
    this.#crew.scorersWait = false;
    const automatic = this.#topics.manifestsToTell();
    const ends = this.#recordEnds();
    const replays = this.#replays > 0;
    if (this.#scenario.replaysFirst) this.#crew.byHand((place, process, stop) => replay(place, process, CARD, stop));
    if (replays) this.#crew.byHand((place, process, stop) => replay(place, process, OTHER_CARD, stop));
    await this.#until(() => this.#isDrained(ends) && this.#crew.hands === 0);
    if (this.#scenario.side === "topics") await this.#settle(automatic);
    if (world.violations.length > 0) return null;
    if (this.#scenario.compaction.chance > 0) this.#compact();
    this.#handCut(CARD);
    if (this.#place.replayed.has(OTHER)) this.#handCut(OTHER_CARD);
    await this.#until(() => this.#crew.hands === 0);
    this.#crew.stopAll();
    await this.#until(() => this.#crew.size === 0, false);
    if (this.#crew.size > 0) world.violate("progress", `${this.#crew.first!.name} never came to its end`);
    else await this.#keepUpAlone();
    return ends;
  }

  /** Workers take in all that they were told, labels are archived, versions told of. */
  async #settle(manifests: readonly string[]): Promise<void> {
    const most = this.#world.steps + SETTLING_STEPS;
    await this.#until(() => this.#world.steps > most || this.#topics.isSettled(manifests));
    if (this.#goesOn() && !this.#topics.isSettled(manifests))
      this.#world.violate("progress", "workers, labels or notices of versions do not come to their end");
  }

  /** Steps until something holds, or it goes on no longer. */
  async #until(holds: () => boolean, fills = true): Promise<void> {
    while (this.#goesOn() && !holds()) {
      if (fills) this.#crew.fill();
      if (!(await this.#world.step())) this.#world.nowMs += 50;
    }
  }

  #goesOn(): boolean {
    return this.#world.violations.length === 0 && this.#world.steps < MOST_STEPS;
  }

  #isDrained(ends: readonly number[]): boolean {
    return ends.every((end, partition) => this.#archivedTo(partition) >= end);
  }

  /** Where each partition's last record ends. What retention took behind it is lost by the archive when more comes. */
  #recordEnds(): number[] {
    return this.#place.log.partitions.map(({ records }) => Math.max(0, ...[...records.keys()].map((at) => at + 1)));
  }

  #archivedTo(partition: number): number {
    // Once it was claimed, it stays.
    const origin =
      this.#origins.get(partition) ??
      liveOrigin(this.#place.store.objects, { ...this.#place.config, teacher: TEACHER }, partition);
    if (origin === null) return 0;
    this.#origins.set(partition, origin);
    return this.#chainEnds.get(`${TEACHER}/${partition}/${origin}`) ?? origin;
  }

  /** Every segment's bytes as first written */
  readonly #originals = new Map<string, Uint8Array>();
  /** Of live chains, by partition */
  readonly #origins = new Map<number, number>();
  readonly #chainEnds = new Map<string, number>();

  async #check(drainedTo: readonly number[] | null): Promise<void> {
    const { appended, retries } = this.#place.log;
    const witness = {
      appended,
      retries,
      images: this.#scenario.images,
      eaten: this.#eaten,
      originals: this.#originals,
      checkpoints: this.#checkpoints,
      manifests: this.#manifests,
      drainedTo,
      collected: this.#collected,
    };
    await checkInvariants(this.#place, witness, this.#random);
    if (this.#world.violations.length === 0) this.#topics.check(this.#originals);
  }

  /** A log below its archive must be refused, and the archive stay as it is. */
  async #recreate(): Promise<void> {
    const { log, store } = this.#place;
    if (this.#archivedTo(0) === 0) return;
    const world = this.#world;
    this.#crew.recreated = true;
    world.log("the topic is made anew");
    log.broker.recreate(log.stream);
    const before = [...store.objects.keys()].filter((key) => key.startsWith("scores/")).length;
    const mine = this.#crew.startScorer();
    while (this.#goesOn() && this.#crew.size > 0) if (!(await world.step())) break;
    if (mine.alive) world.violate("recreated", "a scorer goes on over a topic that was made anew");
    const after = [...store.objects.keys()].filter((key) => key.startsWith("scores/")).length;
    if (after !== before) world.violate("recreated", "segments were archived from a topic that was made anew");
  }

  #onWritten(key: string, bytes: Uint8Array, before: Uint8Array | undefined, process: SimProcess): void {
    const world = this.#world;
    if (before !== undefined && isWrittenOnce(key)) world.violate("immutable", `${key} was written twice`);
    if (key.endsWith(".arrow")) {
      if (before !== undefined) {
        world.violate("immutable", `the segment ${key} was written twice`);
        return;
      }
      // A late writer's: the chain had another there, which a run has. A reader that ranks it has rows that the model has not.
      if (this.#originals.has(key)) {
        world.log(`${key} is written again below the runs`);
        return;
      }
      this.#originals.set(key, bytes);
      this.#segments++;
      const segment = readSegment(key, bytes);
      const { teacher, partition, origin, end } = segment.header;
      this.#chainEnds.set(`${teacher}/${partition}/${origin}`, end);
      this.#topics.onSegment(segment);
      checkPacks(this.#place, segment);
      // Who begins after an image was erased knows of it.
      const row = segment.rows.find(({ sha256 }) => (this.#place.erased.get(sha256) ?? Infinity) < process.startedMs);
      if (row !== undefined) world.violate("erased", `${process.name} archives ${row.sha256}, which was erased before`);
    } else if (key.startsWith("labels/")) {
      for (const { verdict, sha256 } of decodeLabelSegment(bytes, key).labels)
        if (verdict === "erased" && !this.#place.erased.has(sha256)) this.#place.erased.set(sha256, world.nowMs);
    } else if (key.endsWith(".jsonl")) {
      this.#onIndex(key, bytes, before);
    } else if (key.endsWith("/manifest.json")) {
      this.#manifests.set(key, sha256Hex(bytes));
    } else if (key.startsWith("checkpoints/") && key.includes("/at/")) {
      const { checkpoint } = JSON.parse(Buffer.from(bytes).toString()) as {
        checkpoint: { parameters: string; coverage: { frontier: Frontier; counts: { in: number }[] } };
      };
      const records = checkpoint.coverage.counts.reduce((sum, counts) => sum + counts.in, 0);
      const name = `${checkpoint.parameters}:${records}`;
      this.#checkpoints.set(name, [...(this.#checkpoints.get(name) ?? []), checkpoint.coverage.frontier]);
    }
  }

  /** Of a run's index only the body may go. */
  #onIndex(key: string, bytes: Uint8Array, before: Uint8Array | undefined): void {
    if (before === undefined) return;
    const [head, earlier] = [bytes, before].map(
      (one) => JSON.parse(Buffer.from(one).toString().split("\n", 1)[0]!) as RunHead,
    );
    // An erasure writes the files anew, too.
    if (this.#place.erased.size > 0 && head!.end === earlier!.end && head!.createdMs === earlier!.createdMs) return;
    if (
      head!.end !== earlier!.end ||
      head!.blocks.length > 0 ||
      JSON.stringify(head!.files) !== JSON.stringify(earlier!.files)
    ) {
      this.#world.violate("immutable", `the run ${key} was written twice`);
    }
  }

  /** What a scorer has read and not archived: bounded by the steps of its flow, however long the log. */
  #onRead(process: SimProcess, partition: number, count: number): void {
    const { config } = this.#place;
    const name = `${process.name}/${partition}`;
    const waiting = (this.#handedOut.get(name) ?? 0) + count;
    this.#handedOut.set(name, waiting);
    // Read, fetched and decoded ahead; five groups, of which one fills, two are scored and two wait; one segment.
    const most = READ_RECORDS + 12 + 5 * Number(config.engine.batch) * 8 + config.archive.segmentRecords;
    if (waiting > most)
      this.#world.violate("bounded", `${name} has ${waiting} records in flight, at most ${most} expected`);
  }

  #act(action: Action): void {
    const random = this.#random;
    const world = this.#world;
    const { log, store, config } = this.#place;
    switch (action) {
      case "produce": {
        const burst = random.below(12) === 0 ? 40 : 6;
        const records = Array.from({ length: 1 + random.below(burst) }, () =>
          drawRecord(random, this.#scenario, world.nowMs),
        );
        const partition = random.below(config.partitions);
        const first = log.append(partition, records);
        this.#produced += records.length;
        world.log(`produced ${records.length} to ${partition} from ${first}`);
        return;
      }
      case "zombie":
        this.#crew.freezeOne();
        return;
      case "thaw":
        this.#crew.thawOne();
        return;
      case "stop":
        this.#crew.stopOne();
        return;
      case "clock":
        this.#crew.skewOne();
        return;
      case "broker":
        this.#topics.disturb(random, this.#scenario.wild);
        return;
      case "retain": {
        const partition = random.below(config.partitions);
        const { end } = log.partitions[partition]!;
        const archived = this.#archivedTo(partition);
        const before = random.below(2) === 0 ? end - random.below(Math.min(end, 6) + 1) : random.below(archived + 1);
        log.broker.truncate(log.stream, partition, before);
        this.#eaten[partition] = Math.max(this.#eaten[partition]!, before);
        world.log(`retention removes ${partition} before ${before}`);
        return;
      }
      case "retry":
        this.#crew.byHand(retry);
        return;
      case "cut":
        this.#handCut(this.#place.replayed.has(OTHER) ? random.pick([CARD, OTHER_CARD]) : CARD);
        return;
      case "replay":
        this.#startReplay();
        return;
      case "damage-checkpoint": {
        const all = [...store.objects.keys()].filter((key) => key.startsWith("checkpoints/"));
        if (all.length === 0) return;
        const key = random.pick(all);
        const bytes = store.objects.get(key)!;
        world.log(`${key} is damaged`);
        if (random.below(2) === 0) store.objects.delete(key);
        else store.objects.set(key, bytes.slice(0, random.below(bytes.length)));
      }
    }
  }

  #handCut(card: ModelCard): void {
    const random = this.#random;
    if (this.#archivedTo(0) === 0) return;
    const dataset = random.pick(this.#place.config.datasets);
    const startMs = this.#world.nowMs - 1_000 - random.below(4_000);
    const wanted = {
      card,
      dataset,
      span:
        dataset.window.kind === "global" && random.below(3) > 0
          ? null
          : { startMs, endMs: startMs + random.below(3_000) + 1 },
      checkpoints: random.below(4) > 0,
      older: random.pick([0, 0, 300, 700]),
    };
    this.#crew.byHand((place, process) => handCut(place, process, wanted));
  }

  #startReplay(): void {
    if (this.#replays >= 3 || this.#archivedTo(0) === 0) return;
    this.#replays++;
    this.#crew.byHand((place, process, stop) => replay(place, process, OTHER_CARD, stop));
  }

  /** Once there are some records, they are laid down as chains of replays; then scorers begin. */
  #replayFirst(): void {
    if (!this.#crew.scorersWait || this.#produced < 12) return;
    const { objects } = this.#place.store;
    if ([...objects.keys()].some((key) => key.includes("/claims/"))) this.#crew.scorersWait = false;
    else if (this.#crew.hands === 0) {
      this.#crew.byHand((place, process, stop) => replay(place, process, CARD, stop));
      // In some seeds both claim at once.
      if (this.#scenario.squalls.chance === 100) this.#crew.scorersWait = false;
    }
  }
}

const OTHER = teacherDigest(OTHER_CARD);

/** One run under one seed, with a bug put in where one is given. Runs must not overlap. */
export async function simulate(seed: number, bug: Bug | null = null): Promise<SeedOutcome> {
  const remove = bug?.install?.();
  try {
    const simulation = new Simulation(seed, bug);
    return await simulation.run();
  } finally {
    remove?.();
  }
}
