import { messageOf, SluiceError, type ErrorCode } from "../../schemas/errors.js";
import { SeededRandom } from "../../operators/training/seeded-random.js";
import { scorer, type Place } from "./participants.js";
import type { Scenario } from "./scenario.js";
import { SimTable } from "./sim-store.js";
import { labelWorker, publisher, topicScorer, topkWorker } from "./topic-participants.js";
import { SimProcess } from "./world.js";

/** Errors that a process may end with: it is started again. Anything else is a fault. */
const EXPECTED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "E_STORE_IO",
  "E_LOG_IO",
  "E_CHAIN_CONFLICT",
  "E_PUBLISH_CONFLICT",
  "E_FLOW_FAILED",
  "E_CANCELLED",
]);

type Kind = "scorer" | "topk" | "publisher" | "labeller";

interface Running {
  readonly process: SimProcess;
  /** hand: what somebody does once */
  readonly kind: Kind | "hand";
  /** Which of its kind, of those at work at the same time */
  readonly slot: number;
  readonly stop: AbortController;
}

type Program = (place: Place, process: SimProcess, stop: AbortController) => Promise<void>;

/** The processes of a world: who is at work, and who takes the place of who has gone. */
export class Crew {
  readonly #place: Place;
  readonly #random: SeededRandom;
  readonly #slots: readonly { readonly kind: Kind; readonly slot: number }[];
  readonly #side: Scenario["side"];
  #running: Running[] = [];
  /** Local disks of scorers, by slot */
  readonly #disks = new Map<number, SimTable>();
  /** When a slot's next process may start, ms */
  readonly #startsMs = new Map<string, number>();
  started = 0;
  /** Whether somebody else sees to it that a scorer which stands still goes on */
  onStall: (process: SimProcess, what: string) => boolean = () => false;
  /** Scorers wait: a replay is to lay down its chains first */
  scorersWait = false;
  /** The topic was made anew, which scorers must refuse */
  recreated = false;

  constructor(place: Place, { side, scorers, topkWorkers, publishers }: Scenario, random: SeededRandom) {
    this.#place = place;
    this.#random = random;
    this.#side = side;
    const counts: Record<Kind, number> = { scorer: scorers, topk: 0, publisher: 0, labeller: 0 };
    if (side === "topics") Object.assign(counts, { topk: topkWorkers, publisher: publishers, labeller: 1 });
    this.#slots = (Object.keys(counts) as Kind[]).flatMap((kind) =>
      Array.from({ length: counts[kind] }, (_, slot) => ({ kind, slot })),
    );
    place.world.onCrash = (process) => {
      this.#gone(process);
    };
    place.world.onStall = (process, forMs, what) => {
      this.#stall(process, forMs, what);
    };
  }

  get size(): number {
    return this.#running.length;
  }

  get hands(): number {
    return this.#running.filter(({ kind }) => kind === "hand").length;
  }

  get first(): SimProcess | undefined {
    return this.#running[0]?.process;
  }

  /** Every place that nobody is at work in gets a process. */
  fill(): void {
    for (const { kind, slot } of this.#slots) {
      if (kind === "scorer" && this.scorersWait) continue;
      const newest = this.#newest(kind, slot);
      if (newest !== undefined && !newest.process.frozen) continue;
      const name = `${kind}${slot}`;
      if (this.#place.world.nowMs < (this.#startsMs.get(name) ?? 0)) continue;
      // It has not been heard of for too long.
      if (newest !== undefined) this.#expel(newest.process);
      this.#startsMs.set(name, this.#place.world.nowMs + this.#random.below(300));
      this.#start(kind, slot, newest === undefined);
    }
  }

  startScorer(): SimProcess {
    return this.#start("scorer", 0, true);
  }

  #start(kind: Kind, slot: number, mayKeepDisk: boolean): SimProcess {
    switch (kind) {
      case "scorer": {
        // A machine that is gone takes its disk along; a zombie's is still in its hands.
        const disk = mayKeepDisk && this.#random.below(3) > 0 ? (this.#disks.get(slot) ?? null) : null;
        return this.launch(kind, slot, (place, process, stop) => {
          const table = new SimTable(place.world, process, disk);
          this.#disks.set(slot, table);
          return (this.#side === "topics" ? topicScorer : scorer)(place, process, table, stop);
        });
      }
      case "topk":
        return this.launch(kind, slot, topkWorker);
      case "publisher":
        return this.launch(kind, slot, publisher);
      case "labeller":
        return this.launch(kind, slot, labelWorker);
    }
  }

  byHand(program: Program): void {
    this.launch("hand", 0, program);
  }

  launch(kind: Running["kind"], slot: number, program: Program): SimProcess {
    const { world } = this.#place;
    const process = new SimProcess(`${kind}${this.started++}`, world.nowMs);
    const running: Running = { process, kind, slot, stop: new AbortController() };
    this.#running.push(running);
    world.tell(process, "starts", () => {
      program(this.#place, process, running.stop).then(
        () => {
          world.log(`${process.name} ends`);
          this.#ended(process);
        },
        (error: unknown) => {
          this.#ended(process);
          this.#onFailure(process, error);
        },
      );
    });
    return process;
  }

  #ended(process: SimProcess): void {
    process.alive = false;
    this.#gone(process);
  }

  #gone(process: SimProcess): void {
    this.#running = this.#running.filter((one) => one.process !== process);
    this.#expel(process);
  }

  #expel(process: SimProcess): void {
    for (const group of this.#place.log.broker.groups.values()) group.expel(process);
  }

  #onFailure(process: SimProcess, error: unknown): void {
    const { world } = this.#place;
    const code = error instanceof SluiceError ? error.code : null;
    world.log(`${process.name} fails: ${code ?? messageOf(error)}`);
    if (code !== null && EXPECTED.has(code)) return;
    if (this.recreated && (code === "E_LOG_RECREATED" || code === "E_LOG_RANGE")) return;
    const said = error instanceof Error ? (error.stack ?? error.message) : String(error);
    world.violate("unexpected", `${process.name} fails: ${code ?? ""} ${said}`);
  }

  #newest(kind: Kind, slot: number): Running | undefined {
    return this.#running.findLast((one) => one.kind === kind && one.slot === slot);
  }

  /** Somebody who holds a place, drawn. */
  #worker(): Running | undefined {
    const { kind, slot } = this.#random.pick(this.#slots);
    return this.#newest(kind, slot);
  }

  freezeOne(): void {
    const one = this.#worker();
    if (one === undefined || one.process.frozen) return;
    one.process.frozen = true;
    this.#startsMs.set(`${one.kind}${one.slot}`, this.#place.world.nowMs + this.#random.below(200));
    this.#place.world.log(`${one.process.name} freezes`);
  }

  /** A process stands still just as it decides something, and goes on later; one that holds a place is followed by another. */
  #stall(process: SimProcess, forMs: number, what: string): void {
    const { world } = this.#place;
    const one = this.#running.find((running) => running.process === process);
    if (one === undefined || process.frozen) return;
    process.frozen = true;
    if (one.kind !== "hand") this.#startsMs.set(`${one.kind}${one.slot}`, world.nowMs + (forMs % 200));
    world.log(`${process.name} stands still`);
    if (one.kind === "scorer" && this.onStall(process, what)) return;
    world.later(forMs, () => {
      process.frozen = false;
      world.log(`${process.name} goes on`);
    });
  }

  thawOne(): void {
    const frozen = this.#running.find(({ process }) => process.frozen);
    if (frozen === undefined) return;
    frozen.process.frozen = false;
    this.#place.world.log(`${frozen.process.name} goes on`);
  }

  stopOne(): void {
    const one = this.#worker();
    if (one !== undefined) this.#stop(one);
  }

  skewOne(): void {
    const one = this.#worker();
    if (one === undefined) return;
    one.process.skewMs = this.#random.below(4) === 0 ? 60_000 : this.#random.below(6_000) - 3_000;
    this.#place.world.log(`${one.process.name}'s clock is off by ${one.process.skewMs}`);
  }

  stopAll(): void {
    for (const one of this.#running) this.#stop(one);
  }

  #stop({ process, stop }: Running): void {
    this.#place.world.tell(process, "is told to stop", () => {
      stop.abort();
    });
  }

  /** Nobody is frozen any more; of two in one place the older one has had its time, and publishers begin anew. */
  calm(): void {
    for (const { process, slot, kind } of [...this.#running]) {
      process.frozen = false;
      process.skewMs = 0;
      if (kind === "hand") continue;
      if (this.#newest(kind, slot)?.process !== process || kind === "publisher") this.#place.world.kill(process);
    }
  }
}
