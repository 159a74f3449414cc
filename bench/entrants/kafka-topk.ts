// `node kafka-topk.js '{"settings": …, "teacher": …, "checkpointMs": …}'`: a top-K worker as `sluice run topk` runs it, until its
// standard input ends. `teacher` as for kafka-score.js. Says what it does (../kafka/say.ts).
import { loadTeacher } from "../../connectors/engine/teacher/teacher-files.js";
import { openKafka } from "../../pipelines/open/open-kafka.js";
import { openStore } from "../../pipelines/open/workspace.js";
import { runTopk } from "../../pipelines/kafka/run-topk.js";
import { configSchema } from "../../schemas/config.js";
import { madeUpTeacher } from "../../test/fixtures/made-up-teacher.js";
import { say, untilInputEnds } from "../kafka/say.js";
import { sayingWhatIsGiven } from "../kafka/watched-log.js";

interface Options {
  readonly settings: object;
  readonly teacher: { readonly path: string } | { readonly name: string };
  readonly checkpointMs: number;
}

const { settings, teacher: of, checkpointMs } = JSON.parse(process.argv[2] ?? "") as Options;
const signal = untilInputEnds();
const config = configSchema.parse(settings);
const kafka = config.kafka!;
const { card } = "path" in of ? await loadTeacher(of.path) : madeUpTeacher(of.name);
const log = await openKafka(kafka);
const store = await openStore(config);
say("opened");
await runTopk({
  config,
  kafka,
  log: sayingWhatIsGiven(log),
  store,
  card,
  checkpointMs,
  onRestored: ({ shard, tookMs, records }) => {
    say("restored", { shard: shard.index, tookMs, records });
  },
  onTaken: ({ shard, partition, end }) => {
    say("taken", { shard, partition, end });
  },
  onWarning: (message) => {
    say("warning", { message });
  },
  signal,
  nowMs: Date.now,
});
await store.close();
await log.close();
say("ended");
// What is left of a group's member may go on trying for a while.
process.exit(0);
