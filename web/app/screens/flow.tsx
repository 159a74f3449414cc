import { useEffect, useState } from "preact/hooks";
import type { Flow, FlowMoment, Live } from "../../../schemas/api/flow.ts";
import type { StageShares } from "../../../schemas/stage-shares.ts";
import { useAnswer } from "../answer.ts";
import type { ScreenProps } from "../app.tsx";
import { withQuery } from "../calls.ts";
import { Chart } from "../parts/chart.tsx";
import { Asked } from "../parts/asked.tsx";
import { Costs } from "../parts/costs.tsx";
import { Publish } from "../parts/publish.tsx";
import { Fill } from "../parts/fill.tsx";
import { Spark } from "../parts/spark.tsx";
import { Empty, Failed, Loading } from "../parts/states.tsx";
import { agoText, bytesText, countText, plural, rateText, shareText, timeText } from "../wording.ts";

/** What `sluice status --json` says, as far as it is shown here */
interface Status {
  readonly teachers: readonly {
    readonly digest: string;
    readonly name: string;
    readonly waiting: number | null;
    readonly quarantined: Readonly<Record<string, number>>;
    readonly datasets: readonly {
      readonly name: string;
      readonly fill: { readonly full: number; readonly starving: number; readonly classes: number };
      readonly starving: readonly { readonly label: string; readonly count: number }[];
      readonly trigger: { readonly fired: boolean; readonly why: string };
      readonly records: {
        readonly in: number;
        readonly scored: number;
        readonly copied: number;
        readonly quarantined: number;
        readonly lost: number;
      };
      readonly newest: { readonly number: number } | null;
    }[];
  }[];
  readonly kafka: {
    readonly brokers: string;
    readonly away: string | null;
    readonly groups: readonly {
      readonly group: string;
      readonly topic: string;
      readonly members: number;
      readonly lag: number;
    }[];
  } | null;
}

const STAGES = ["fetch", "decode", "score", "archive"] as const;
/** Moments of a run that are drawn, one a second */
const MOMENTS = 180;
/** How often the status is asked for, ms: it reads more than what is sent every second */
const STATUS_MS = 10_000;
const SPANS = { "1 min": 60, "10 min": 600, "1 h": 3600 } as const;

/** The pipeline from left to right: how fast, how full, what limits it, and what to add. */
export function FlowScreen({ watched, overview }: ScreenProps) {
  const { live } = watched;
  const [turn, setTurn] = useState(0);
  const [span, setSpan] = useState<keyof typeof SPANS>("10 min");
  const [rates, setRates] = useState<readonly (readonly [number, number])[]>([]);
  const [moments, setMoments] = useState<readonly FlowMoment[]>([]);
  const flow = useAnswer<Flow>("/api/flow");
  const status = useAnswer<Status>("/api/status", turn + watched.changes);
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.visibilityState !== "hidden") setTurn((before) => before + STATUS_MS);
    }, STATUS_MS);
    return () => {
      clearInterval(timer);
    };
  }, []);
  useEffect(() => {
    if (flow.value === null) return;
    setRates(flow.value.history);
    setMoments(flow.value.stages);
  }, [flow.value]);
  useEffect(() => {
    if (live?.stages == null || !isRunning(live)) return;
    const { atMs, waiting, stages } = live;
    setMoments((before) => [
      ...before.filter((one) => one.atMs < atMs).slice(-MOMENTS),
      { ...stages.shares, atMs, waiting },
    ]);
  }, [live]);
  useEffect(() => {
    if (live === null || live.perSecond === null) return;
    const point = [live.atMs, live.perSecond] as const;
    setRates((before) => [...before.filter(([atMs]) => atMs < live.atMs && live.atMs - atMs < 3_600_000), point]);
  }, [live]);
  const now = live ?? flow.value?.now ?? null;
  if (now === null) return flow.error === null ? <Loading label="Looking" /> : <Failed error={flow.error} />;
  const shown = rates.filter(([atMs]) => now.atMs - atMs <= 1000 * SPANS[span]);
  return (
    <section class="flow">
      <header class="screen-head">
        <h1>Flow</h1>
        <p class="facts">
          <strong>{now.perSecond === null || now.perSecond === 0 ? "idle" : rateText(now.perSecond)}</strong>
          {now.waiting === null ? null : <span>{plural(now.waiting, "image")} waiting</span>}
          <span>{plural(now.archived, "record")} archived</span>
          {now.watermarkMs === null ? null : <span class="fine">newest image {timeText(now.watermarkMs)}</span>}
        </p>
      </header>
      <Asked now={now} isReadOnly={overview.readOnly} />
      <Pipeline now={now} status={status.value} moments={moments} teacher={overview.teacher?.digest ?? null} />
      <Costs now={now} turn={turn} />
      <article class="card">
        <div class="card-head">
          <h2>Archived a second</h2>
          <div class="tabs small" role="group" aria-label="How long">
            {(Object.keys(SPANS) as (keyof typeof SPANS)[]).map((name) => (
              <button
                key={name}
                type="button"
                aria-pressed={name === span}
                onClick={() => {
                  setSpan(name);
                }}
              >
                {name}
              </button>
            ))}
          </div>
        </div>
        {shown.length < 2 ? (
          <p class="fine">The line begins when something is archived while this page or another one is open.</p>
        ) : (
          <Chart
            x={shown.map(([atMs]) => atMs / 1000)}
            lines={[{ name: "archived", values: shown.map(([, value]) => value), colour: "--accent" }]}
            height={180}
            isTime
            spanS={SPANS[span]}
            label={`Records archived a second over ${span}, now ${rateText(now.perSecond)}`}
          />
        )}
      </article>
      {status.error !== null && status.value === null ? <Failed error={status.error} /> : null}
      {status.value === null ? (
        status.error === null ? (
          <Loading rows={4} label="Reading the status" />
        ) : null
      ) : status.value.teachers.length === 0 ? (
        <Empty title="No teacher has scored anything yet">
          <p>
            <code>sluice ingest photographs/ --teacher model.onnx</code>
          </p>
        </Empty>
      ) : (
        <div class="cards">
          {status.value.teachers.flatMap((teacher) =>
            teacher.datasets.map((dataset) => (
              <article key={`${teacher.digest}/${dataset.name}`} class="card">
                <h2>{dataset.name}</h2>
                <p class="fine">
                  teacher {teacher.name} <code>{teacher.digest.slice(0, 12)}</code>
                  {teacher.waiting === null || teacher.waiting === 0
                    ? ""
                    : ` · ${plural(teacher.waiting, "record")} waiting`}
                </p>
                {dataset.records.in === 0 && now.archived > 0 ? (
                  <p class="fine">
                    No checkpoint by these parameters yet: the next run makes one, and then its fill is shown here. The
                    classes&apos; walls rank the archive already.
                  </p>
                ) : (
                  <>
                    <p>
                      <Fill
                        count={dataset.fill.full}
                        k={dataset.fill.classes}
                        label={`${dataset.name}: full classes`}
                      />{" "}
                      <strong>{countText(dataset.fill.full)}</strong> of {countText(dataset.fill.classes)} classes full
                    </p>
                  </>
                )}
                <p class="trigger">
                  {dataset.newest === null ? (
                    "No version yet"
                  ) : (
                    <a href={`/version/${encodeURIComponent(dataset.name)}/${dataset.newest.number}`}>
                      version {dataset.newest.number}
                    </a>
                  )}
                  {`; ${dataset.trigger.fired ? "the next one is due" : "the trigger waits"}: ${dataset.trigger.why}`}
                </p>
                <Publish
                  dataset={
                    overview.datasets.find(({ name }) => name === dataset.name) ?? {
                      name: dataset.name,
                      select: null,
                      window: null,
                      versions: [],
                      newest: null,
                    }
                  }
                  isReadOnly={overview.readOnly}
                />
                {dataset.starving.length === 0 || dataset.records.in === 0 ? null : (
                  <p class="fine">
                    starving:{" "}
                    {dataset.starving
                      .slice(0, 5)
                      .map(({ label, count }) => `${label} ${countText(count)}`)
                      .join(", ")}
                    {dataset.starving.length > 5 ? `, and ${countText(dataset.starving.length - 5)} more` : ""}
                  </p>
                )}
                <p class="sum fine" hidden={dataset.records.in === 0}>
                  {countText(dataset.records.in)} in = {countText(dataset.records.scored)} scored +{" "}
                  {countText(dataset.records.copied)} copied + {countText(dataset.records.quarantined)} quarantined +{" "}
                  {countText(dataset.records.lost)} lost
                </p>
              </article>
            )),
          )}
          <QuarantineCard status={status.value} dataset={overview.datasets[0]?.name ?? ""} />
          {status.value.kafka === null ? null : (
            <article class="card">
              <h2>Kafka at {status.value.kafka.brokers}</h2>
              {status.value.kafka.away === null ? null : <p class="wrong">{status.value.kafka.away}</p>}
              <ul class="groups">
                {status.value.kafka.groups.map((one) => (
                  <li key={`${one.group}/${one.topic}`}>
                    <strong>{one.group}</strong> on {one.topic}:{" "}
                    {one.members === 0 ? "nobody" : plural(one.members, "member")}, {countText(one.lag)} behind
                  </li>
                ))}
              </ul>
            </article>
          )}
        </div>
      )}
    </section>
  );
}

/** One that was killed says of itself that it goes on for ever: nobody holds its folder. */
const isRunning = ({ run, holder }: Live): boolean => run !== null && !run.ended && holder !== null;

const STAGE_TEXT = { fetch: "Fetch", decode: "Decode", score: "Score", archive: "Archive" } as const;

interface PipelineProps {
  readonly now: Live;
  readonly status: Status | null;
  readonly moments: readonly FlowMoment[];
  /** Digest of the teacher that stands */
  readonly teacher: string | null;
}

function Pipeline({ now, status, moments, teacher }: PipelineProps) {
  const { run, stages, advice } = now;
  const runs = run !== null && isRunning(now);
  const stands = status?.teachers.find(({ digest }) => digest === teacher) ?? status?.teachers[0];
  const quarantined = Object.values(stands?.quarantined ?? {}).reduce((sum, one) => sum + one, 0);
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
          <span class="fine">put into the log</span>
          {moments.length < 2 ? null : (
            <Spark
              values={moments.map(({ waiting }) => waiting)}
              label={`records waiting in the log, ${now.waiting === null ? "unknown" : countText(now.waiting)} now`}
            />
          )}
        </li>
        {STAGES.map((name) => (
          <Stage key={name} name={name} stages={stages} moments={moments} />
        ))}
        <li class="end">
          <span class="stage-name">Archived</span>
          <strong>{run === null ? countText(now.archived) : countText(run.counts.scored + run.counts.copied)}</strong>
          <span class="fine">
            {run === null
              ? "in all"
              : `${countText(run.counts.copied)} seen before, ${bytesText(run.counts.sizeBytes)}`}
          </span>
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
}

function Stage({ name, stages, moments }: StageProps) {
  const share = stages?.shares[name] ?? 0;
  const limits = stages?.limits === name;
  return (
    <li class={limits ? "stage limits" : "stage"} style={{ flexGrow: 0.5 + share }}>
      <span class="stage-name">
        {STAGE_TEXT[name]}
        {limits ? <span class="badge">limits</span> : null}
      </span>
      <strong>{stages === null ? "–" : shareText(share)}</strong>
      <span class="fine">at work</span>
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

function QuarantineCard({ status, dataset }: { readonly status: Status; readonly dataset: string }) {
  const teachers = status.teachers.flatMap(({ digest, name, quarantined }) => {
    const codes = Object.entries(quarantined).toSorted(([, a], [, b]) => b - a);
    return codes.length === 0 ? [] : [{ digest, name, codes }];
  });
  return (
    <article class="card">
      <h2>Quarantine</h2>
      {teachers.length === 0 ? <p class="fine">Nothing: every image that came could be used.</p> : null}
      {teachers.map(({ digest, name, codes }) => (
        <div key={digest}>
          {status.teachers.length === 1 ? null : (
            <p class="fine">
              met by teacher {name} <code>{digest.slice(0, 12)}</code>
            </p>
          )}
          <ul class="codes">
            {codes.map(([code, count]) => (
              <li key={code}>
                <code>{code}</code> {countText(count)}
              </li>
            ))}
          </ul>
        </div>
      ))}
      {teachers.length === 0 ? null : (
        <a class="button" href={withQuery("/review", { kind: "quarantine", dataset })}>
          Look at them
        </a>
      )}
    </article>
  );
}
