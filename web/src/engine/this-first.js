// A method that calls a function with its `this` as the first argument.
export function thisFirst(call) {
  return function (...args) {
    return call(this, ...args);
  };
}
