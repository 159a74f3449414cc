import type { ListedEvaluation } from "../../../schemas/api/teachers.ts";
import { countText, plural, shareText, timeText } from "../wording.ts";
import { Interval } from "./interval.tsx";

/** How a model did on test images, beside the teacher that it was compared with. */
export function Evaluation({ one }: { readonly one: ListedEvaluation }) {
  const { model, teacher, difference, verdict, confused } = one;
  const both = teacher === null ? [model] : [model, teacher];
  return (
    <>
      <h3>On {plural(one.images, "test image")}</h3>
      {both.map((of, at) => (
        <p key={of.digest} class="audited">
          <span>{at === 0 ? "this model" : of.name}</span>
          <Interval value={of.accuracy} {...of.interval} label={`accuracy of ${of.name}`} />
          <span>
            <strong>{of.accuracy.toFixed(3)}</strong>{" "}
            <span class="fine">
              {of.interval.low.toFixed(3)} to {of.interval.high.toFixed(3)}
            </span>
          </span>
        </p>
      ))}
      <p class="fine">
        {difference === null ? null : (
          <>
            Better by {signed(difference.value)}, between {signed(difference.interval.low)} and{" "}
            {signed(difference.interval.high)} (p = {difference.p.toPrecision(2)}).{" "}
          </>
        )}
        Mean recall {model.meanRecall.toFixed(3)}
        {model.tailRecall === null ? "" : `, of the rarer classes ${model.tailRecall.toFixed(3)}`}; intervals at{" "}
        {shareText(one.confidence)}. {timeText(Date.parse(one.evaluatedAt))}.
      </p>
      {confused.length === 0 ? null : (
        <p class="fine">
          Takes{" "}
          {confused
            .map(({ label, taken, count, of }) => `${countText(count)} of ${countText(of)} ${label} for ${taken}`)
            .join("; ")}
          .
        </p>
      )}
      {verdict === null ? null : (
        <p class={verdict.passes ? "gate passes" : "gate"}>
          <strong>{verdict.passes ? "Passes the gate." : "Does not pass the gate."}</strong> {verdict.reasons.join(" ")}
        </p>
      )}
    </>
  );
}

function signed(value: number): string {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;
}
