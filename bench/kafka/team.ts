import { allowedCores } from "./allowed-cores.js";
import type { Measures } from "../harness.js";
import type { LogRecord } from "../../schemas/image-record.js";
import type { Ground, Stream } from "./ground.js";
import { Member } from "./member.js";
import { archivedAt } from "./archived-at.js";
import { nowMs, type Said } from "./say.js";

export type Teacher = { readonly path: string } | { readonly name: string };

export interface TeamOptions {
  readonly teacher: Teacher;
  readonly scorers: number;
  readonly topkWorkers: number;
  /** On top of the stream's, for the scorers */
  readonly scorerSettings?: object;
  readonly checkpointMs?: number;
  /** Whether each scorer may use one core only, another one each */
  readonly oneCoreEach?: boolean;
}

/** Scorers and top-K workers of one stream, all at their posts: each holds its share of the partitions. */
export class Team {
  readonly scorers: readonly Member[];
  readonly keepers: readonly Member[];

  private constructor(scorers: readonly Member[], keepers: readonly Member[]) {
    this.scorers = scorers;
    this.keepers = keepers;
  }

  static async start(ground: Ground, stream: Stream, options: TeamOptions): Promise<Team> {
    const { teacher, scorers, topkWorkers, scorerSettings = {}, checkpointMs = 10_000, oneCoreEach = false } = options;
    const { partitions, kafka } = stream.config;
    const cores = oneCoreEach ? allowedCores() : [];
    const members = Array.from({ length: scorers }, (_, at) => {
      const settings = ground.settingsFor(stream, scorerSettings);
      return new Member("kafka-score.js", { settings, teacher }, cores[at] ?? null);
    });
    const keepers = Array.from(
      { length: topkWorkers },
      () => new Member("kafka-topk.js", { settings: ground.settingsFor(stream), teacher, checkpointMs }),
    );
    await Promise.all([
      ...members.map((member) => holdsAbout(member, partitions / scorers)),
      ...keepers.map((member) => holdsAbout(member, kafka!.shards / topkWorkers)),
    ]);
    await Promise.all(keepers.map((keeper) => keeper.event("restored")));
    return new Team(members, keepers);
  }

  /** Ends when so many images are archived by the scorers together. Gives what was said last, and all CPU spent so far. */
  async archived(images: number): Promise<Said> {
    for (;;) {
      const all = this.scorers.flatMap(({ said }) => said).sort((a, b) => a.ms - b.ms);
      const reached = archivedAt(all, images);
      if (reached !== undefined) return reached.said;
      await Promise.race(this.scorers.map((scorer) => scorer.next()));
    }
  }

  /** CPU seconds of the scorers, as of what each has said last */
  get scorerCpuSeconds(): number {
    return this.scorers.reduce((sum, { said }) => sum + (said.at(-1)?.cpuSeconds ?? 0), 0);
  }

  async end(): Promise<void> {
    await Promise.all([...this.scorers, ...this.keepers].map((member) => member.end()));
  }
}

async function holdsAbout(member: Member, share: number): Promise<void> {
  await member.untilAll(() => (member.held.size === Math.round(share) ? true : undefined));
}

/** From the first append of images to members that wait for them, until the last one is archived, told and committed. */
export async function throughTheTeam(
  ground: Ground,
  stream: Stream,
  records: readonly LogRecord[],
  options: TeamOptions,
): Promise<Measures> {
  const team = await Team.start(ground, stream, options);
  const serversBefore = ground.serverCpuSeconds;
  const cpuBefore = team.scorerCpuSeconds;
  const beganMs = nowMs();
  const appended = ground.append(stream, records);
  const last = await team.archived(records.length);
  await appended;
  const seconds = (last.ms - beganMs) / 1000;
  const measures = {
    seconds,
    imagesPerSecond: records.length / seconds,
    cpuSeconds: team.scorerCpuSeconds - cpuBefore,
    serverCpuSeconds: ground.serverCpuSeconds - serversBefore,
  };
  await team.end();
  return measures;
}
