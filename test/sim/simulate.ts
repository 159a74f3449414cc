import { SeededRandom } from "../../operators/training/seeded-random.js";
import { sha256Hex } from "../../schemas/canonical.js";
import { messageOf, SluiceError, type ErrorCode } from "../../schemas/errors.js";
import type { Frontier } from "../../schemas/frontier.js";
import type { RunHead } from "../../schemas/run.js";
import type { Bug } from "./bug.js";
import { checkPacks, checkInvariants } from "./invariants.js";
import { liveOrigin, readSegment } from "./model.js";
import { compaction, handCut, label, replay, retry, scorer, TEACHER, type Place } from "./participants.js";
import { drawLabels, drawRecord, drawScenario, type Action, type Scenario } from "./scenario.js";
import { READ_RECORDS, SimLog } from "./sim-log.js";
import { SimStore, SimTable } from "./sim-store.js";
import { SimProcess, World } from "./world.js";

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
const MOST_STEPS = 15_000;

/** Errors that a process may end with: it is started again. Anything else is a fault. */
const EXPECTED: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["E_STORE_IO", "E_CHAIN_CONFLICT", "E_PUBLISH_CONFLICT"]);

interface Running {
  readonly process: SimProcess;
  readonly kind: "scorer" | "hand";
  /** Which scorer it is, of those at work at the same time */
  readonly slot: number;
  readonly stop: AbortController;
  /** A scorer's local disk */
  readonly disk: SimTable | null;
}

class Simulation {
  readonly #random: SeededRandom;
  readonly #scenario: Scenario;
  /** Decides when somebody compacts: apart, so that seeds without it are what they were */
  readonly #compacting: SeededRandom;
  /** Decides when somebody labels images, and what they say: apart, too */
  readonly #labelling: SeededRandom;
  readonly #world: World;
  readonly #place: Place;
  readonly #seed: number;
  #running: Running[] = [];
  readonly #disks = new Map<number, SimTable>();
  /** When a slot's next scorer may start, ms */
  readonly #startsMs = new Map<number, number>();
  readonly #checkpoints = new Map<string, Frontier[]>();
  readonly #manifests = new Map<string, string>();
  /** Records read and not archived, by process and partition */
  readonly #handedOut = new Map<string, number>();
  readonly #eaten: number[];
  #produced = 0;
  #processes = 0;
  #segments = 0;
  #replays = 0;
  #replayed: { partition: number; origin: number } | null = null;
  #recreated = false;

  constructor(seed: number, bug: Bug | null) {
    this.#seed = seed;
    this.#scenario = drawScenario(seed);
    this.#random = new SeededRandom(seed, "actions");
    this.#compacting = new SeededRandom(seed, "compacting");
    this.#labelling = new SeededRandom(seed, "labels");
    const world = new World(seed);
    this.#world = world;
    const { config } = this.#scenario;
    this.#place = {
      world,
      store: new SimStore(world),
      log: new SimLog(world, config.partitions),
      seed,
      config,
      lateFromMs: world.nowMs + this.#random.below(15_000),
      scored: new Map(),
      said: new Map(),
      bug,
      onArchived: (process, partition, count) => {
        const name = `${process.name}/${partition}`;
        this.#handedOut.set(name, (this.#handedOut.get(name) ?? 0) - count);
      },
    };
    this.#eaten = Array.from({ length: config.partitions }, () => 0);
    world.faults = { ...this.#scenario.faults };
    world.onCrash = (process) => {
      this.#running = this.#running.filter((one) => one.process !== process);
    };
    this.#place.store.onWritten = (key, bytes, before) => {
      this.#onWritten(key, bytes, before);
    };
    this.#place.log.onRead = (process, partition, records) => {
      this.#onRead(process, partition, records.length);
    };
  }

  async run(): Promise<SeedOutcome> {
    return this.#world.withTimers(() => this.#run());
  }

  async #run(): Promise<SeedOutcome> {
    const world = this.#world;
    try {
      await this.#storm();
      const drained = await this.#calm();
      if (world.violations.length === 0) await this.#check(drained);
      if (world.violations.length === 0 && this.#scenario.recreates) await this.#recreate();
    } catch (error) {
      world.violate("simulation", error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
    for (const { process } of this.#running) process.alive = false;
    const first = world.violations[0];
    return {
      seed: this.#seed,
      digest: world.traceDigest(),
      steps: world.steps,
      processes: this.#processes,
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
      this.#startScorers();
      for (const action of Object.keys(chances) as Action[]) {
        if (this.#random.below(1000) < chances[action]) this.#act(action);
      }
      const { chance } = this.#scenario.compaction;
      if (chance > 0 && this.#compacting.below(1000) < chance) this.#compact();
      if (this.#labelling.below(1000) < this.#scenario.labelling) this.#label();
      if (!(await this.#world.step())) this.#world.nowMs += 50;
    }
  }

  #label(): void {
    const labels = drawLabels(this.#labelling, this.#scenario, this.#world.nowMs);
    this.#launch("hand", 0, (place, process) => label(place, process, labels));
  }

  #compact(): void {
    const { segmentsPerRun, sweepAfterMs } = this.#scenario.compaction;
    this.#launch("hand", 0, (place, process) => compaction(place, process, { segmentsPerRun, sweepAfterMs }));
  }

  /** Nothing fails any more; what was appended must reach the archive, and every process come to its end. */
  async #calm(): Promise<readonly number[] | null> {
    const world = this.#world;
    world.faults = { errors: 0, crashes: 0, slow: 0 };
    world.log("calm");
    for (const { process, slot, kind } of [...this.#running]) {
      if (process.frozen) process.frozen = false;
      // Of two scorers of the same partitions the older one has had its time.
      if (kind === "scorer" && this.#scorerOf(slot)?.process !== process) world.kill(process);
    }
    const ends = this.#recordEnds();
    while (this.#goesOn() && (!this.#isDrained(ends) || this.#running.some(({ kind }) => kind === "hand"))) {
      this.#startScorers();
      if (!(await world.step())) world.nowMs += 50;
    }
    if (world.violations.length > 0) return null;
    if (this.#scenario.compaction.chance > 0) this.#compact();
    this.#act("cut");
    while (this.#goesOn() && this.#running.some(({ kind }) => kind === "hand")) {
      this.#startScorers();
      if (!(await world.step())) world.nowMs += 50;
    }
    for (const { stop } of this.#running) stop.abort();
    while (this.#goesOn() && this.#running.length > 0) if (!(await world.step())) world.nowMs += 50;
    if (this.#running.length > 0) world.violate("progress", `${this.#running[0]!.process.name} never came to its end`);
    return ends;
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
    const origin = liveOrigin(this.#place.store.objects, this.#place.config.stream, partition);
    if (origin === null) return 0;
    return this.#chainEnds.get(`${partition}/${origin}`) ?? origin;
  }

  /** Every segment's bytes as first written */
  readonly #originals = new Map<string, Uint8Array>();
  readonly #chainEnds = new Map<string, number>();

  async #check(drainedTo: readonly number[] | null): Promise<void> {
    const { partitions, retries } = this.#place.log;
    const witness = {
      appended: partitions.map(({ appended }) => appended),
      retries,
      images: this.#scenario.images,
      eaten: this.#eaten,
      originals: this.#originals,
      checkpoints: this.#checkpoints,
      manifests: this.#manifests,
      drainedTo,
    };
    await checkInvariants(this.#place, witness, this.#random);
  }

  /** A log below its archive must be refused, and the archive stay as it is. */
  async #recreate(): Promise<void> {
    const { log, store } = this.#place;
    if (this.#archivedTo(0) === 0) return;
    const world = this.#world;
    this.#recreated = true;
    world.log("the topic is made anew");
    log.recreate();
    const before = [...store.objects.keys()].filter((key) => key.startsWith("scores/")).length;
    this.#start({ kind: "scorer", slot: 0, disk: this.#disks.get(0) ?? null });
    const mine = this.#running[0]!;
    while (this.#goesOn() && this.#running.length > 0) if (!(await world.step())) break;
    if (this.#running.includes(mine)) world.violate("recreated", "a scorer goes on over a topic that was made anew");
    const after = [...store.objects.keys()].filter((key) => key.startsWith("scores/")).length;
    if (after !== before) world.violate("recreated", "segments were archived from a topic that was made anew");
  }

  #onWritten(key: string, bytes: Uint8Array, before: Uint8Array | undefined): void {
    const world = this.#world;
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
      const { partition, origin, end } = segment.header;
      this.#chainEnds.set(`${partition}/${origin}`, end);
      checkPacks(this.#place, segment);
    } else if (key.endsWith(".jsonl")) {
      this.#onIndex(key, bytes, before);
    } else if (key.endsWith("/manifest.json")) {
      if (before !== undefined) world.violate("immutable", `the manifest ${key} was written twice`);
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
      case "zombie": {
        const old = this.#scorerOf(random.below(this.#scenario.scorers));
        if (old === undefined || old.process.frozen) return;
        old.process.frozen = true;
        this.#startsMs.set(old.slot, world.nowMs + random.below(200));
        world.log(`${old.process.name} freezes`);
        return;
      }
      case "thaw": {
        const frozen = this.#running.find(({ process }) => process.frozen);
        if (frozen === undefined) return;
        frozen.process.frozen = false;
        world.log(`${frozen.process.name} goes on`);
        return;
      }
      case "stop": {
        const one = this.#scorerOf(random.below(this.#scenario.scorers));
        one?.stop.abort();
        if (one !== undefined) world.log(`${one.process.name} is told to stop`);
        return;
      }
      case "retain": {
        const partition = random.below(config.partitions);
        const { end } = log.partitions[partition]!;
        const archived = this.#archivedTo(partition);
        const before = random.below(2) === 0 ? end - random.below(Math.min(end, 6) + 1) : random.below(archived + 1);
        log.truncate(partition, before);
        this.#eaten[partition] = Math.max(this.#eaten[partition]!, before);
        world.log(`retention removes ${partition} before ${before}`);
        return;
      }
      case "retry":
        this.#launch("hand", 0, (place, process) => retry(place, process));
        return;
      case "cut":
        this.#startHandCut();
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

  #startHandCut(): void {
    const random = this.#random;
    if (this.#archivedTo(0) === 0) return;
    const dataset = random.pick(this.#place.config.datasets);
    const startMs = this.#world.nowMs - 1_000 - random.below(4_000);
    const wanted = {
      dataset,
      span:
        dataset.window.kind === "global" && random.below(3) > 0
          ? null
          : { startMs, endMs: startMs + random.below(3_000) + 1 },
      checkpoints: random.below(4) > 0,
      older: random.pick([0, 0, 300, 700]),
      replay:
        this.#replayed !== null && random.below(2) === 0
          ? { teacher: TEACHER, stream: this.#place.config.stream, ...this.#replayed }
          : null,
    };
    this.#launch("hand", 0, (place, process) => handCut(place, process, wanted));
  }

  #startReplay(): void {
    if (this.#replays >= 2) return;
    const partition = this.#random.below(this.#place.config.partitions);
    const { start, records } = this.#place.log.partitions[partition]!;
    const offsets = [...records.keys()].filter((offset) => offset > start && offset > 0);
    if (offsets.length < 4) return;
    const end = this.#place.log.partitions[partition]!.end;
    const origin = this.#replayed?.partition === partition ? this.#replayed.origin : this.#random.pick(offsets);
    this.#replays++;
    this.#replayed = { partition, origin };
    const chain = { teacher: TEACHER, stream: this.#place.config.stream, partition, origin };
    this.#launch("hand", 0, (place, process) => replay(place, process, chain, end));
  }

  /** The newest scorer of a slot. */
  #scorerOf(slot: number): Running | undefined {
    return this.#running.findLast((one) => one.kind === "scorer" && one.slot === slot);
  }

  #startScorers(): void {
    for (let slot = 0; slot < this.#scenario.scorers; slot++) {
      const newest = this.#scorerOf(slot);
      if (newest !== undefined && !newest.process.frozen) continue;
      if (this.#world.nowMs < (this.#startsMs.get(slot) ?? 0)) continue;
      // A machine that is gone takes its disk along; a zombie's is still in its hands.
      const keeps = newest === undefined && this.#random.below(3) > 0;
      this.#startsMs.set(slot, this.#world.nowMs + this.#random.below(300));
      this.#start({ kind: "scorer", slot, disk: keeps ? (this.#disks.get(slot) ?? null) : null });
    }
  }

  #start({ slot, disk }: { kind: "scorer"; slot: number; disk: SimTable | null }): void {
    const { scorers } = this.#scenario;
    const mine = (partition: number): boolean => this.#recreated || partition % scorers === slot;
    this.#launch("scorer", slot, (place, process, stop) => {
      const table = new SimTable(this.#world, process, disk);
      this.#disks.set(slot, table);
      return scorer(place, process, mine, table, stop);
    });
  }

  #launch(
    kind: Running["kind"],
    slot: number,
    program: (place: Place, process: SimProcess, stop: AbortController) => Promise<void>,
  ): void {
    const process = new SimProcess(`${kind}${this.#processes++}`);
    const running: Running = { process, kind, slot, stop: new AbortController(), disk: null };
    this.#world.log(`${process.name} starts`);
    this.#running.push(running);
    const ended = (): void => {
      process.alive = false;
      this.#running = this.#running.filter((one) => one !== running);
    };
    program(this.#place, process, running.stop).then(
      () => {
        this.#world.log(`${process.name} ends`);
        ended();
      },
      (error: unknown) => {
        ended();
        this.#onFailure(process, error);
      },
    );
  }

  #onFailure(process: SimProcess, error: unknown): void {
    const code = error instanceof SluiceError ? error.code : null;
    this.#world.log(`${process.name} fails: ${code ?? messageOf(error)}`);
    if (code !== null && EXPECTED.has(code)) return;
    if (this.#recreated && (code === "E_LOG_RECREATED" || code === "E_LOG_RANGE")) return;
    const said = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#world.violate("unexpected", `${process.name} fails: ${code ?? ""} ${said}`);
  }
}

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
