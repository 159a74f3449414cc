import type { LabelledPixels } from "../../schemas/labelled-pixels.js";

/**
 * Both sets as one, the labelled images repeated until they are about `share` of it, (0, 1): at least once each. What has targets gives the other
 * its labels as such.
 */
export function mixExamples(version: LabelledPixels, labelled: LabelledPixels, share: number): LabelledPixels {
  const times = Math.max(1, Math.round((share / (1 - share)) * (version.count / labelled.count)));
  const count = version.count + times * labelled.count;
  const pixels = new Uint8Array(version.pixels.length + times * labelled.pixels.length);
  const labels = new Int32Array(count);
  pixels.set(version.pixels);
  labels.set(version.labels);
  for (let time = 0; time < times; time++) {
    pixels.set(labelled.pixels, version.pixels.length + time * labelled.pixels.length);
    labels.set(labelled.labels, version.count + time * labelled.count);
  }
  if (version.targets === undefined) return { count, pixels, labels };
  const classes = version.targets.length / version.count;
  const targets = new Float32Array(count * classes);
  targets.set(version.targets);
  for (let row = version.count; row < count; row++) targets[row * classes + labels[row]!] = 1;
  return { count, pixels, labels, targets };
}
