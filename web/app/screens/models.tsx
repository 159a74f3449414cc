import type { ListedTeacher, TeacherList } from "../../../schemas/api/teachers.ts";
import { useAnswer } from "../answer.ts";
import type { ScreenProps } from "../app.tsx";
import { withQuery } from "../calls.ts";
import { Command, Empty, Failed, Loading } from "../parts/states.tsx";
import { bytesText, countText, plural, timeText } from "../wording.ts";

/** Versions that are drawn of a teacher; the others are counted */
const DRAWN = 24;

/** The teachers that have scored here: what they are, what they scored, and what was made by them. */
export function Models({ watched }: ScreenProps) {
  const found = useAnswer<TeacherList>("/api/teachers", watched.changes);
  if (found.error !== null && found.value === null) return <Failed error={found.error} />;
  if (found.value === null) return <Loading label="Reading the teachers" />;
  const { teachers } = found.value;
  return (
    <section class="models">
      <header class="screen-head">
        <h1>Models</h1>
        <p class="facts">
          <strong>{countText(teachers.length)}</strong> {teachers.length === 1 ? "teacher has" : "teachers have"} scored
          here
        </p>
      </header>
      {teachers.length === 0 ? (
        <Empty title="No teacher has scored anything yet">
          <Command text="sluice ingest photographs/ --teacher model.onnx" />
        </Empty>
      ) : (
        <ol class="generations">
          {teachers.map((one) => (
            <Teacher key={one.digest} one={one} />
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

function Teacher({ one }: { readonly one: ListedTeacher }) {
  const datasets = [...new Set(one.versions.map(({ dataset }) => dataset))];
  const short = one.digest.slice(0, 12);
  return (
    <li class={`card generation${one.isDeclared ? " declared" : ""}`}>
      <div class="card-head">
        <h2>
          {one.name} <code>{short}</code>
        </h2>
        {one.isDeclared ? <span class="badge">declared</span> : null}
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
          <h3>Versions made by it</h3>
          {datasets.length === 0 ? (
            <p class="fine">
              None yet: what it scored is archived, and `sluice rebuild --teacher-digest {short}` makes one.
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
                <span
                  class="interval"
                  role="img"
                  aria-label={`precision ${precision.share.toFixed(2)}, between ${precision.low.toFixed(2)} and ${precision.high.toFixed(2)}`}
                >
                  <span
                    style={{ left: `${100 * precision.low}%`, width: `${100 * (precision.high - precision.low)}%` }}
                  />
                  <i style={{ left: `${100 * precision.share}%` }} />
                </span>
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
