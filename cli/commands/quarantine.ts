import { resolve } from "node:path";
import type { QuarantineFilter } from "../../pipelines/quarantine/quarantine.js";
import type { Config } from "../../schemas/config.js";
import type { DeclaredTeacher } from "../../schemas/declaration.js";
import { ERROR_CODES, SluiceError, type ErrorCode } from "../../schemas/errors.js";
import type { KafkaConfig } from "../../schemas/kafka-config.js";
import { allowanceOf, declareAllowanceFlags, type AllowanceFlags } from "../allowance-flags.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { nearest } from "../config/nearest.js";
import type { Invocation } from "../invocation.js";
import { wholeNumber } from "../number-argument.js";
import { callTeacher, openDeclared } from "../declared-config.js";
import { openExistingStore } from "../existing-store.js";
import { ingestCounts } from "../report/ingest-counts.js";
import { throwRefused } from "../report/refused.js";
import { publishedObject, publishedText } from "../report/published.js";
import { collected, declareScoringFlags, scoringSettings, type ScoringFlags } from "../setting-flags.js";
import { countText, counted } from "../../schemas/counted.js";
import { recordsRefused, refusedRecordsText } from "../refused-records.js";
import { tableText } from "../wording.js";
import { declareMetricsFlags, longWork } from "../metrics-flags.js";

interface Filter {
  readonly code?: readonly string[];
  readonly match?: string;
}

export const declare: DeclareCommand = (command, invocation) => {
  command.addHelpText(
    "after",
    exampleText([
      ["sluice quarantine list", "what could not be used, and why"],
      ["sluice quarantine retry --code E_IMAGE_VANISHED", "takes files up again that are back in their place"],
    ]),
  );

  command
    .command("list")
    .summary("what is in quarantine, and why")
    .description(
      "Lists the images that could not be used, and were not since: neither taken up again, nor seen whole in the same place by a later `ingest`. On Kafka also what was refused on the topics of labels and of notifications.",
    )
    .option("--code <code>", "only this reason; repeatable", collected)
    .option("--match <text>", "only the image with this digest or uri")
    .option("--limit <n>", "lines printed; --json has all", wholeNumber, 50)
    .option("--teacher-digest <digest>", "the first digits of the teacher's digest, where several have scored")
    .addHelpText("after", exampleText([["sluice quarantine list --code E_IMAGE_TRUNCATED", "only broken-off files"]]))
    .action(async (flags: Filter & { limit: number; teacherDigest?: string }) => {
      const run = invocation();
      const { limit } = flags;
      const { listQuarantine } = await import("../../pipelines/quarantine/quarantine.js");
      const { archivedTeacher } = await import("../../pipelines/rebuild.js");
      const { config, declared, store } = await openDeclared(run);
      try {
        const { digest } = await archivedTeacher(store, flags.teacherDigest, declared.settings?.teacher);
        const entries = [];
        const place = { teacher: digest, stream: config.stream };
        for await (const entry of listQuarantine(store, place, filterOf(flags))) entries.push(entry);
        const refused = await recordsRefused(
          run,
          config,
          ({ code }) => flags.match === undefined && (flags.code === undefined || flags.code.includes(code)),
        );
        const byCode: Record<string, number> = {};
        for (const { code } of entries) byCode[code] = (byCode[code] ?? 0) + 1;
        const rows = entries
          .slice(0, limit)
          .map(({ partition, offset, code, uri, reason }) => [`${partition}/${offset}`, code, uri, reason]);
        const images =
          entries.length === 0
            ? refused.labels.length + refused.notices.length === 0
              ? "Nothing is in quarantine."
              : "No image is in quarantine."
            : [
                `${counted(entries.length, "image")} in quarantine: ${Object.entries(byCode)
                  .map(([code, count]) => `${code} ${countText(count)}`)
                  .join(", ")}`,
                tableText(["offset", "code", "uri", "reason"], rows),
                ...(entries.length > limit ? [`… and ${countText(entries.length - limit)} more (--limit)`] : []),
              ].join("\n");
        run.result([images, ...refusedRecordsText(refused, limit)].join("\n"), {
          count: entries.length,
          byCode,
          entries,
          ...refused,
        });
      } finally {
        await store.close();
      }
    });

  command
    .command("export")
    .summary("write the quarantine to a Parquet file")
    .description("Writes what is in quarantine to a Parquet file, one row an image.")
    .argument("<file>", "where to write it")
    .option("--code <code>", "only this reason; repeatable", collected)
    .option("--match <text>", "only the image with this digest or uri")
    .option("--teacher-digest <digest>", "the first digits of the teacher's digest, where several have scored")
    .addHelpText(
      "after",
      exampleText([["sluice quarantine export quarantine.parquet", "for DuckDB, Polars or pandas"]]),
    )
    .action(async (path: string, flags: Filter & { teacherDigest?: string }) => {
      const run = invocation();
      const { listQuarantine } = await import("../../pipelines/quarantine/quarantine.js");
      const { exportQuarantine } = await import("../../pipelines/quarantine/quarantine-export.js");
      const { archivedTeacher } = await import("../../pipelines/rebuild.js");
      const { config, declared, store } = await openDeclared(run);
      try {
        const { digest } = await archivedTeacher(store, flags.teacherDigest, declared.settings?.teacher);
        const file = resolve(run.terminal.folder, path);
        const place = { teacher: digest, stream: config.stream };
        const rows = await exportQuarantine(listQuarantine(store, place, filterOf(flags)), file);
        run.result(`Wrote ${counted(rows, "row")} to ${file}.`, { file, rows });
      } finally {
        await store.close();
      }
    });

  declareMetricsFlags(declareAllowanceFlags(declareScoringFlags(command.command("retry"))))
    .summary("take quarantined images up again")
    .description(
      "Appends quarantined images to the stream again, scores them, and publishes where any could be used now. On Kafka it appends them and no more: " +
        "the scorers of the topic (`sluice run score`) score them like any other.",
    )
    .option("--code <code>", "only this reason; repeatable", collected)
    .option("--match <text>", "only the image with this digest or uri")
    .option("--teacher-digest <digest>", "on Kafka, whose quarantine: the first digits, where several have scored")
    .option("--no-publish", "score and archive only")
    .addHelpText(
      "after",
      exampleText([
        ["sluice quarantine retry", "all of them, say after `decode` settings were changed"],
        ["sluice quarantine retry --code E_IMAGE_VANISHED", "files that were not in their place"],
        ["sluice quarantine retry --match file:///pictures/a.jpg", "one image"],
      ]),
    )
    .action(async (flags: Filter & ScoringFlags & AllowanceFlags & { publish: boolean; teacherDigest?: string }) => {
      const run = invocation();
      const filter = filterOf(flags);
      const { config, declared, namesTeacher, store } = await openDeclared(run, scoringSettings(flags), { say: true });
      await store.close();
      if (config.kafka !== undefined) {
        await retryOnKafka(
          run,
          config,
          config.kafka,
          filter,
          flags.teacherDigest,
          namesTeacher ? null : declared.settings?.teacher,
        );
        return;
      }
      const { ingest } = await import("../../pipelines/ingest.js");
      const { listQuarantine } = await import("../../pipelines/quarantine/quarantine.js");
      const { retryQuarantined } = await import("../../pipelines/quarantine/retry-quarantined.js");
      const { openScoring } = await import("../../pipelines/open/open-scoring.js");
      const { openWorkspace } = await import("../../pipelines/open/workspace.js");
      const { teacherDigest } = await import("../../schemas/model-card.js");
      const teacher = await callTeacher(run, config, declared, namesTeacher);
      await longWork(run, async ({ onProgress, stop, note, warn }) => {
        const workspace = await openWorkspace(config, "sluice quarantine retry");
        try {
          const scoring = await openScoring(config, note, {
            teacher,
            names: { store: workspace.store, renaming: "new" },
          });
          try {
            const { log, store } = workspace;
            const place = { teacher: teacherDigest(scoring.teacher.card), stream: config.stream };
            const { appended, unavailable } = await retryQuarantined(log, listQuarantine(store, place, filter), {
              opener: scoring.opener,
              maxBytes: config.decode.maxBytes,
            });
            const { counts, stopped, published, refused } = await ingest({
              workspace,
              ...scoring,
              publish: flags.publish ? "if-scored" : false,
              allow: allowanceOf(flags),
              stop,
              onProgress,
              onWarning: warn,
            });
            const object = {
              appended,
              unavailable,
              counts,
              published: published.map((one) => publishedObject(one, store.place)),
              refused: refused.map(({ dataset, error }) => ({ dataset, code: error.code, message: error.message })),
            };
            if (stopped) {
              const next = `\`${run.hint("ingest")}\` goes on from there.`;
              throw new SluiceError("E_CANCELLED", `Stopped on request. ${next}`, object);
            }
            throwRefused(refused, counts, object);
            run.result(
              [
                `Took up ${counted(appended, "image")} again. ${ingestCounts(counts)}`,
                ...unavailableText(unavailable.length),
                ...published.map((one) => publishedText(one, store.place)),
              ].join("\n"),
              object,
            );
          } finally {
            await scoring.close();
          }
        } finally {
          await workspace.close();
        }
      });
    });
};

/** Scorers are at work there, or come later: what is appended is theirs, and so is what follows from it. */
async function retryOnKafka(
  run: Invocation,
  config: Config,
  kafka: KafkaConfig,
  filter: QuarantineFilter,
  digest: string | undefined,
  declared: DeclaredTeacher | null | undefined,
): Promise<void> {
  const { listQuarantine } = await import("../../pipelines/quarantine/quarantine.js");
  const { retryQuarantined } = await import("../../pipelines/quarantine/retry-quarantined.js");
  const { publishingParts } = await import("../../pipelines/open/open-scoring.js");
  const { publishersCard } = await import("../../pipelines/kafka/run-publish.js");
  const { openStreamKafka } = await import("../../pipelines/open/open-kafka.js");
  const { teacherDigest } = await import("../../schemas/model-card.js");
  const store = await openExistingStore(config);
  try {
    const teacher = teacherDigest(await publishersCard(config, store, digest, declared));
    const log = await openStreamKafka({ stream: config.stream, kafka }, store);
    try {
      const quarantined = listQuarantine(store, { teacher, stream: config.stream }, filter);
      const { appended, unavailable } = await retryQuarantined(log, quarantined, {
        opener: publishingParts(config).opener,
        maxBytes: kafka.inlineBytes,
      });
      const said = `Took up ${counted(appended, "image")} again: the scorers of topic ${config.stream} score them.`;
      run.result([said, ...unavailableText(unavailable.length)].join("\n"), { appended, unavailable });
    } finally {
      await log.close();
    }
  } finally {
    await store.close();
  }
}

function unavailableText(count: number): string[] {
  if (count === 0) return [];
  return [
    `${counted(count, "record")} cannot be taken up: their bytes are gone, or their producer must send them anew.`,
  ];
}

function filterOf({ code, match }: Filter): { codes?: ErrorCode[]; match?: string } {
  return {
    ...(code === undefined ? {} : { codes: code.map(errorCode) }),
    ...(match === undefined ? {} : { match }),
  };
}

function errorCode(text: string): ErrorCode {
  if (text in ERROR_CODES) return text as ErrorCode;
  const likely = nearest(text, Object.keys(ERROR_CODES));
  throw new SluiceError(
    "E_USAGE",
    `Expected an error code for --code, found "${text}"${likely === null ? "; docs/errors.md lists them" : `, did you mean ${likely}?`}`,
  );
}
