import type { TeacherCompared } from "../../../schemas/api/teachers.ts";
import { useAnswer } from "../answer.ts";
import { countText, plural, probabilityText, shareText } from "../wording.ts";
import { Picture } from "./picture.tsx";
import { Failed, Loading } from "./states.tsx";

/** Classes that are drawn, those that changed most */
const CLASSES = 24;

/** What another teacher sees otherwise than the one that stands: a sheet of what came and one of what went, a class. */
export function Compared({ digest, changes }: { readonly digest: string; readonly changes: number }) {
  const asked = useAnswer<TeacherCompared>(`/api/teachers/${digest}/compare?limit=${CLASSES}`, changes);
  if (asked.error !== null && asked.value === null) return <Failed error={asked.error} />;
  if (asked.value === null) return <Loading rows={4} label="Comparing" />;
  const { first, second, both, same, changed, classes, pending } = asked.value;
  if (pending !== null)
    return (
      <p class="fine" role="status">
        Comparing: {plural(pending.done, "record")} so far.
      </p>
    );
  if (both === 0)
    return (
      <p class="fine">
        Both have scored no record yet: <code>sluice teacher shadow</code> scores with the other one.
      </p>
    );
  const shown = classes.filter(({ came, went }) => came.length + went.length > 0);
  return (
    <section class="compared" aria-label={`${second.name} beside ${first.name}`}>
      <p>
        Of {plural(both, "record")} that both have scored, they agree on the best class of{" "}
        <strong>{shareText(same / both)}</strong>.{" "}
        <span class="fine">
          {plural(changed, "class", "classes")} changed
          {shown.length < changed ? `; the ${countText(shown.length)} that changed most` : ""}.
        </span>
      </p>
      {shown.map((one) => (
        <div key={one.class} class="sheet">
          <h4>
            {one.label}
            <span class="fine">
              {" "}
              {countText(one.first)} → {countText(one.second)}, {countText(one.both)} by both
            </span>
          </h4>
          <Side name="came" kind="in" total={one.second - one.both} images={one.came} who={first.name} />
          <Side name="went" kind="out" total={one.first - one.both} images={one.went} who={second.name} />
        </div>
      ))}
    </section>
  );
}

interface SideProps {
  readonly name: string;
  readonly kind: "in" | "out";
  readonly total: number;
  readonly images: TeacherCompared["classes"][number]["came"];
  /** Who says otherwise */
  readonly who: string;
}

function Side({ name, kind, total, images, who }: SideProps) {
  if (total === 0) return null;
  return (
    <div class="sheet-side">
      <span class={kind}>
        {countText(total)} {name}
      </span>
      <ul>
        {images.map(({ sha256, probability, other }) => (
          <li key={sha256}>
            <a href={`/image/${sha256}`} title={`${probabilityText(probability)}; ${who} says ${other}`}>
              <Picture
                sha256={sha256}
                side={96}
                alt={`${name}, ${probabilityText(probability)}; ${who} says ${other}`}
              />
            </a>
          </li>
        ))}
      </ul>
    </div>
  );
}
