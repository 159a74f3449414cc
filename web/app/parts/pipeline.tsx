import type { FlowMoment, Live } from "../../../schemas/api/flow.ts";
import type { StageQueues, StageShares } from "../../../schemas/stage-shares.ts";
import { agoText, bytesText, countText, rateText, shareText, timeText } from "../wording.ts";
import type { RunRates } from "./run-rates.ts";
import { Spark } from "./spark.tsx";

const STAGES = ["fetch", "decode", "score", "archive"] as const;

/** One that was killed says of itself that it goes on for ever: nobody holds its folder. */
export const isRunning = ({ run, holder }: Live): boolean => run !== null && !run.ended && holder !== null;

const STAGE_TEXT = { fetch: "Fetch", decode: "Decode", score: "Score", archive: "Archive" } as const;

interface PipelineProps {
  readonly now: Live;
  /** Records that the teacher that stands met and could not use */
  readonly quarantined: number;
  readonly moments: readonly FlowMoment[];
  /** null while they are not known, or nothing runs */
  readonly rates: RunRates | null;
}

/** The stages that a record passes: how many, how fast, how busy, what waits and what limits. */
export function Pipeline({ now, quarantined, moments, rates }: PipelineProps) {
  const { run, stages, advice } = now;
  const runs = run !== null && isRunning(now);
  const grows = rates === null ? 0 : rates.taken - rates.done;
  return (
    <article class={`card pipeline${runs ? " running" : ""}`}>
      <div class="card-head">
        <h2>{runs ? `${now.holder?.command ?? "running"}, pid ${run.pid}` : "Nothing runs in this folder"}</h2>
        <span class="fine">
          {run === null
            ? "No run has been recorded here; on Kafka, each scorer's folder has its own."
            : runs
              ? `since ${agoText(now.atMs - run.startedMs)}`
              : `the last run ${run.ended ? "ended" : "stopped without an end"} ${agoText(now.atMs - run.atMs)} ago, after ${agoText(run.atMs - run.startedMs)}`}
        </span>
      </div>
      <ol class="stages" aria-label="Stages, from left to right">
        <li class="end">
          <span class="stage-name">Source</span>
          <strong>{run === null ? "–" : countText(run.counts.appended)}</strong>
          <span class="fine">put into the log{rates === null ? "" : `, ${rateText(rates.taken)}`}</span>
          {now.waiting === null ? null : (
            <span class="fine">
              {countText(now.waiting)} waiting
              {now.waiting === 0 || Math.abs(grows) < 0.05
                ? ""
                : `, ${grows > 0 ? "more" : "fewer"} by ${rateText(Math.abs(grows))}`}
            </span>
          )}
          {moments.length < 2 ? null : (
            <Spark
              values={moments.map(({ waiting }) => waiting)}
              label={`records waiting in the log, ${now.waiting === null ? "unknown" : countText(now.waiting)} now`}
            />
          )}
        </li>
        {STAGES.map((name) => (
          <Stage
            key={name}
            name={name}
            stages={stages}
            moments={moments}
            rates={rates}
            queue={run?.queues?.[name] ?? null}
          />
        ))}
        <li class="end">
          <span class="stage-name">Archived</span>
          <strong>{run === null ? countText(now.archived) : countText(run.counts.scored + run.counts.copied)}</strong>
          <span class="fine">
            {run === null
              ? "in all"
              : `${countText(run.counts.copied)} seen before, ${bytesText(run.counts.sizeBytes)}`}
          </span>
          {now.watermarkMs === null ? null : <span class="fine">up to {timeText(now.watermarkMs)}</span>}
        </li>
        <li class="end">
          <span class="stage-name">Quarantine</span>
          <strong>{countText(run === null ? quarantined : run.counts.quarantined)}</strong>
          <a class="fine" href="/review?kind=quarantine">
            see why
          </a>
        </li>
      </ol>
      {advice === null ? (
        stages?.limits == null ? null : (
          <p class="fine">The run was too short to tell what limits longer ones.</p>
        )
      ) : (
        <p class="advice">{advice.charAt(0).toUpperCase() + advice.slice(1)}.</p>
      )}
    </article>
  );
}

interface StageProps {
  readonly name: (typeof STAGES)[number];
  readonly stages: StageShares | null;
  readonly moments: readonly FlowMoment[];
  readonly rates: RunRates | null;
  /** null where the run does not tell */
  readonly queue: StageQueues[(typeof STAGES)[number]] | null;
}

function Stage({ name, stages, moments, rates, queue }: StageProps) {
  const share = stages?.shares[name] ?? 0;
  const limits = stages?.limits === name;
  return (
    <li class={limits ? "stage limits" : "stage"} style={{ flexGrow: 0.5 + share }}>
      <span class="stage-name">
        {STAGE_TEXT[name]}
        {limits ? <span class="badge">limits</span> : null}
      </span>
      <strong>{stages === null ? "–" : shareText(share)}</strong>
      <span class="fine">at work{rates === null ? "" : `, ${rateText(rates.done)}`}</span>
      {queue === null ? null : (
        <span class="fine" title="All its places were taken for that share of the time: what comes before it waited">
          {countText(Math.max(0, queue.items - queue.places))} waiting, full{" "}
          {shareText(queue.full).replace(" ", "\u00a0")}
        </span>
      )}
      <span class="pipe" aria-hidden="true">
        <span style={{ width: `${100 * share}%` }} />
      </span>
      {moments.length < 2 ? null : (
        <Spark
          values={moments.map((one) => one[name])}
          most={1}
          label={`${STAGE_TEXT[name]}: how busy over the last minutes, ${shareText(share)} now`}
        />
      )}
    </li>
  );
}
