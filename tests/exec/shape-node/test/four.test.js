import assert from "node:assert";
import { test } from "node:test";
import { words } from "../src/words.js";

test("four", () => assert.strictEqual(words(" four  and more\n"), 3));
