import { useEffect, useState } from "preact/hooks";
import type { Flow, FlowMoment } from "../../../schemas/api/flow.ts";
import type { Review } from "../../../schemas/api/images.ts";
import { useAnswer } from "../answer.ts";
import type { ScreenProps } from "../app.tsx";
import { withQuery } from "../calls.ts";
import { Chart } from "../parts/chart.tsx";
import { Asked } from "../parts/asked.tsx";
import { Costs } from "../parts/costs.tsx";
import { Picture } from "../parts/picture.tsx";
import { isRunning, Pipeline } from "../parts/pipeline.tsx";
import { Publish } from "../parts/publish.tsx";
import { Fill } from "../parts/fill.tsx";
import { ratesOf, withWritten } from "../parts/run-rates.ts";
import { Empty, Failed, Loading } from "../parts/states.tsx";
import { countText, plural, rateText, timeText } from "../wording.ts";

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
  const [written, setWritten] = useState<Parameters<typeof ratesOf>[0]>([]);
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
    const run = live?.run ?? null;
    if (run !== null) setWritten((before) => (before.at(-1)?.atMs === run.atMs ? before : withWritten(before, run)));
  }, [live]);
  useEffect(() => {
    if (live === null || live.perSecond === null) return;
    const point = [live.atMs, live.perSecond] as const;
    setRates((before) => [...before.filter(([atMs]) => atMs < live.atMs && live.atMs - atMs < 3_600_000), point]);
  }, [live]);
  const now = live ?? flow.value?.now ?? null;
  if (now === null) return flow.error === null ? <Loading label="Looking" /> : <Failed error={flow.error} />;
  const stands =
    status.value?.teachers.find(({ digest }) => digest === overview.teacher?.digest) ?? status.value?.teachers[0];
  const quarantined = Object.values(stands?.quarantined ?? {}).reduce((sum, one) => sum + one, 0);
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
      <Pipeline
        now={now}
        quarantined={quarantined}
        moments={moments}
        rates={isRunning(now) ? ratesOf(written) : null}
      />
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

/** Refused records that are shown; the review has all */
const THUMBNAILS = 8;

function QuarantineCard({ status, dataset }: { readonly status: Status; readonly dataset: string }) {
  const teachers = status.teachers.flatMap(({ digest, name, quarantined }) => {
    const codes = Object.entries(quarantined).toSorted(([, a], [, b]) => b - a);
    return codes.length === 0 ? [] : [{ digest, name, codes }];
  });
  const count = teachers.reduce((sum, { codes }) => codes.reduce((all, [, one]) => all + one, sum), 0);
  const review = useAnswer<Review>(
    count === 0 ? null : withQuery("/api/review/quarantine", { dataset, limit: THUMBNAILS }),
    count,
  );
  const refused = (review.value?.items ?? []).filter(({ sha256 }) => sha256 !== null);
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
      {refused.length === 0 ? null : (
        <ul class="refused-few" aria-label="Some of them">
          {refused.map(({ sha256, why }) => (
            <li key={sha256}>
              <a href={`/image/${sha256 ?? ""}`} title={why}>
                <Picture sha256={sha256} side={96} alt={why} />
              </a>
            </li>
          ))}
        </ul>
      )}
      {teachers.length === 0 ? null : (
        <a class="button" href={withQuery("/review", { kind: "quarantine", dataset })}>
          Look at them
        </a>
      )}
    </article>
  );
}
