// What the page takes of three.js and Spark; built into libraries.js.gz, see README.md.
export { Color, PerspectiveCamera, Scene, WebGLRenderer } from "three";
export { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";
export { SparkRenderer, SplatMesh } from "@sparkjsdev/spark";
