import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { ListedGeneration, ListedTeacher, TeacherList } from "../../../schemas/api/teachers.ts";
import { useAnswer } from "../answer.ts";
import type { ScreenProps } from "../app.tsx";
import { withQuery } from "../calls.ts";
import { Compared } from "../parts/compared.tsx";
import { Evaluation } from "../parts/evaluation.tsx";
import { Interval } from "../parts/interval.tsx";
import { Promote } from "../parts/promote.tsx";
import { Command, Empty, Failed, Loading } from "../parts/states.tsx";
import { bytesText, countText, plural, shareText, timeText } from "../wording.ts";

/** Versions that are drawn of a teacher; the others are counted */
const DRAWN = 24;

const STATES = {
  stands: "stands",
  next: "is to stand",
  former: "stood before",
  scored: "scored beside",
  store: "in the store",
} as const;

/** Teachers and trained models: what they are, how right they are, what they scored, and what was made by them. */
export function Models({ address, watched, overview }: ScreenProps) {
  const [changed, setChanged] = useState(0);
  const found = useAnswer<TeacherList>("/api/teachers", watched.changes + changed);
  if (found.error !== null && found.value === null) return <Failed error={found.error} />;
  if (found.value === null) return <Loading label="Reading the teachers" />;
  const { teachers, generations } = found.value;
  const stands = teachers.find(({ state }) => state === "stands");
  const scored = teachers.filter(({ streams }) => streams.length > 0).length;
  return (
    <section class="models">
      <header class="screen-head">
        <h1>Models</h1>
        <p class="facts">
          <strong>{countText(scored)}</strong> {scored === 1 ? "teacher has" : "teachers have"} scored here
          {stands === undefined ? null : <span>{stands.name} stands</span>}
        </p>
      </header>
      {generations.length === 0 ? null : <Generations all={generations} />}
      {teachers.length === 0 ? (
        <Empty title="No teacher has scored anything yet">
          <Command text="sluice ingest photographs/ --teacher model.onnx" />
        </Empty>
      ) : (
        <ol class="generations">
          {teachers.map((one) => (
            <Teacher
              key={one.digest}
              one={one}
              isCompared={address.query["compare"] === one.digest}
              isOther={stands !== undefined && one.digest !== stands.digest && one.streams.length > 0}
              changes={watched.changes}
            >
              {overview.readOnly ? null : (
                <Promote
                  one={one}
                  stands={stands}
                  isUnderWay={teachers.some(({ state }) => state === "next")}
                  onDone={() => {
                    setChanged(changed + 1);
                  }}
                />
              )}
            </Teacher>
          ))}
        </ol>
      )}
      {teachers.length === 1 ? (
        <article class="card">
          <h2>The next one</h2>
          <p class="fine">
            A student that is trained on a version can score the same images again, beside what is archived, and stands
            here then:
          </p>
          <Command text="sluice train student labelled/ --out student" />
          <Command text="sluice replay --teacher student" />
        </article>
      ) : null}
    </section>
  );
}

/** The loop's rounds, the newest first: each student against the teacher of its day. */
function Generations({ all }: { readonly all: readonly ListedGeneration[] }) {
  const shares = all.flatMap(({ accuracy, teacherAccuracy }) => [accuracy, teacherAccuracy]);
  const from = Math.max(0, Math.min(...shares) - 0.05);
  const to = Math.min(1, Math.max(...shares) + 0.05);
  return (
    <article class="card">
      <h2>Generations</h2>
      <ol class="rounds">
        {all.toReversed().map((one) => (
          <li key={`${one.dataset}/${one.number}`}>
            <span>
              <strong>{one.number}</strong>{" "}
              <a href={`/version/${encodeURIComponent(one.dataset)}/${one.version}`}>
                {one.dataset}/{one.version}
              </a>
            </span>
            <Interval
              value={one.accuracy}
              low={Math.min(one.accuracy, one.teacherAccuracy)}
              high={Math.max(one.accuracy, one.teacherAccuracy)}
              from={from}
              to={to}
              label="accuracy"
            />
            <span>
              <strong>{one.accuracy.toFixed(3)}</strong>{" "}
              <span class="fine">
                after {one.teacherAccuracy.toFixed(3)};{" "}
                {one.promoted ? "promoted" : one.passes ? "passed" : "not better"}
              </span>
            </span>
          </li>
        ))}
      </ol>
    </article>
  );
}

interface TeacherProps {
  readonly one: ListedTeacher;
  /** It has scored what the one that stands has scored */
  readonly isOther: boolean;
  readonly isCompared: boolean;
  readonly changes: number;
  readonly children: ComponentChildren;
}

function Teacher({ one, isOther, isCompared, changes, children }: TeacherProps) {
  const datasets = [...new Set(one.versions.map(({ dataset }) => dataset))];
  const short = one.digest.slice(0, 12);
  return (
    <li class={`card generation${one.isDeclared ? " declared" : ""}`}>
      <div class="card-head">
        <h2>
          {one.name} <code>{short}</code>
        </h2>
        <span class="badge">{STATES[one.state]}</span>
        {isOther ? (
          <a class="button" href={isCompared ? "/models" : withQuery("/models", { compare: one.digest })}>
            {isCompared ? "Close the comparison" : "What it sees otherwise"}
          </a>
        ) : null}
        {children}
      </div>
      <div class="generation-body">
        <dl class="facts-list">
          <dt>model</dt>
          <dd>
            {one.format}, {bytesText(one.weights.sizeBytes)}
            {one.weights.files === 1 ? "" : ` in ${plural(one.weights.files, "file")}`}
          </dd>
          <dt>sees</dt>
          <dd>
            {one.input.width} × {one.input.height} {one.input.colour}
          </dd>
          <dt>tells</dt>
          <dd>
            {plural(one.classes, "class", "classes")} by {one.output}, temperature {one.temperature}
            {one.renamed === 0 ? "" : `; classes were called otherwise ${plural(one.renamed, "time")}`}
          </dd>
          {one.training === null ? null : (
            <>
              <dt>trained</dt>
              <dd>
                {one.training.version === null ? (
                  "on labelled images alone: "
                ) : (
                  <>
                    on{" "}
                    {one.training.version.number === null ? (
                      one.training.version.dataset
                    ) : (
                      <a
                        href={`/version/${encodeURIComponent(one.training.version.dataset)}/${one.training.version.number}`}
                      >
                        {one.training.version.dataset}/{one.training.version.number}
                      </a>
                    )}{" "}
                    ({plural(one.training.versionImages, "image")}), then on{" "}
                  </>
                )}
                {plural(one.training.labelled, "labelled image")}, {timeText(Date.parse(one.training.trainedAt))}
              </dd>
            </>
          )}
          {one.checked === null ? null : (
            <>
              <dt>checked</dt>
              <dd>
                <strong>{shareText(one.checked.accuracy)}</strong> right on{" "}
                {plural(one.checked.images, "labelled image")}{" "}
                <span class="fine">(guessing: {shareText(one.checked.chance)})</span>
                {one.checked.readings.length < 2 ? null : (
                  <span class="line fine">
                    read as{" "}
                    {one.checked.readings
                      .map(
                        ({ name, accuracy }) => `${name} ${accuracy === null ? "does not run" : shareText(accuracy)}`,
                      )
                      .join(", ")}
                  </span>
                )}
              </dd>
            </>
          )}
          <dt>scored</dt>
          <dd>
            {one.streams.length === 0
              ? "nothing"
              : one.streams.map(({ stream, archived, watermarkMs }) => (
                  <span key={stream} class="line">
                    <strong>{countText(archived)}</strong> records of {stream}
                    {watermarkMs === null ? "" : `, up to ${timeText(watermarkMs)}`}
                  </span>
                ))}
          </dd>
          <dt>digest</dt>
          <dd class="uri">{one.digest}</dd>
          <dt>weights</dt>
          <dd class="uri">{one.weights.sha256}</dd>
        </dl>
        <div>
          {one.evaluation === null ? null : <Evaluation one={one.evaluation} />}
          <h3>Versions made by it</h3>
          {datasets.length === 0 ? (
            <p class="fine">
              {one.streams.length === 0
                ? "None yet: it has scored nothing."
                : `None yet: what it scored is archived, and \`sluice rebuild --teacher-digest ${short}\` makes one.`}
            </p>
          ) : null}
          {datasets.map((dataset) => (
            <Lineage
              key={dataset}
              dataset={dataset}
              versions={one.versions.filter((version) => version.dataset === dataset)}
            />
          ))}
          <h3>How right they are</h3>
          {one.audits.length === 0 ? (
            <p class="fine">
              Nobody has judged an audit of its versions yet. <a href="/review?kind=audit">Judge some</a>, and this says
              how right they are, with an interval.
            </p>
          ) : (
            one.audits.map(({ dataset, number, precision }) => (
              <p key={dataset} class="audited">
                <a href={withQuery("/review", { kind: "audit", dataset })}>
                  {dataset}/{number}
                </a>
                <Interval value={precision.share} low={precision.low} high={precision.high} label="precision" />
                <span>
                  <strong>{precision.share.toFixed(2)}</strong>{" "}
                  <span class="fine">
                    {precision.low.toFixed(2)} to {precision.high.toFixed(2)} after {countText(precision.judged)}
                  </span>
                </span>
              </p>
            ))
          )}
        </div>
      </div>
      {isCompared ? <Compared digest={one.digest} changes={changes} /> : null}
    </li>
  );
}

/** Versions of a dataset in their order, each after its parent. */
function Lineage({ dataset, versions }: { readonly dataset: string; readonly versions: ListedTeacher["versions"] }) {
  const drawn = versions.slice(-DRAWN);
  return (
    <div class="lineage">
      <span class="fine">{dataset}</span>
      <ol>
        {drawn.length < versions.length ? (
          <li class="fine">{countText(versions.length - drawn.length)} before</li>
        ) : null}
        {drawn.map(({ number, rows, createdAt }) => (
          <li key={number}>
            <a
              href={`/version/${encodeURIComponent(dataset)}/${number}`}
              title={`${countText(rows)} rows, ${timeText(Date.parse(createdAt))}`}
            >
              {number}
            </a>
          </li>
        ))}
      </ol>
    </div>
  );
}
