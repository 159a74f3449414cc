// Loads the binding in the package folder that is named and multiplies two matrices with it: `node try-binding.js <folder>`.
import * as tf from "@tensorflow/tfjs-core";
import { loadBuild } from "../../connectors/native-tfjs.js";

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("expected the package's folder as the only argument");
process.env["TF_CPP_MIN_LOG_LEVEL"] ??= "2";
tf.enableProdMode();
const { tensorflow, isOnGpu } = loadBuild(folder, false);
if (!(await tf.setBackend("tensorflow"))) throw new Error("expected the backend tensorflow to start");
const product = await tf.matMul(tf.ones([2, 3]), tf.ones([3, 2])).data();
if (!product.every((value) => value === 3)) throw new Error(`expected products of 3, found ${product.join(", ")}`);
process.stdout.write(`TensorFlow ${tensorflow} computes, on ${isOnGpu ? "a GPU" : "the processor"}\n`);
