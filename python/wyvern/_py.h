//===- _py.h - CPython's stable interface, from C++ -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What our extension modules need of Python: owned references, values to and
// from C++, arguments by name, and classes. It keeps to the stable interface
// (Py_LIMITED_API), so one build serves every CPython from 3.10 on.
//
// A C++ exception stands for a Python one: `py::Raised` where one is set
// already. `py::guard` is the border: nothing is thrown through it.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_PYTHON_PY_H
#define WYVERN_PYTHON_PY_H

#ifndef Py_LIMITED_API
#error "extension modules are built for the stable interface"
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <initializer_list>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace wyvern::py {

/// Thrown while a Python exception is set.
struct Raised {};

[[noreturn]] inline void raise(PyObject *type, const std::string &message) {
  PyErr_SetString(type, message.c_str());
  throw Raised();
}
[[noreturn]] inline void raiseValueError(const std::string &message) {
  raise(PyExc_ValueError, message);
}
[[noreturn]] inline void raiseTypeError(const std::string &message) {
  raise(PyExc_TypeError, message);
}

/// An owned reference, or none.
class Object {
public:
  Object() = default;
  Object(const Object &other) : pointer(other.pointer) { Py_XINCREF(pointer); }
  Object(Object &&other) noexcept
      : pointer(std::exchange(other.pointer, nullptr)) {}
  Object &operator=(Object other) noexcept {
    std::swap(pointer, other.pointer);
    return *this;
  }
  ~Object() { Py_XDECREF(pointer); }

  /// Takes over a new reference, which is null where an exception is set.
  static Object take(PyObject *fresh) {
    if (!fresh)
      throw Raised();
    Object object;
    object.pointer = fresh;
    return object;
  }
  static Object share(PyObject *borrowed) {
    Py_XINCREF(borrowed);
    return take(borrowed);
  }
  static Object none() { return share(Py_None); }

  PyObject *get() const { return pointer; }
  PyObject *release() { return std::exchange(pointer, nullptr); }
  explicit operator bool() const { return pointer; }
  bool isNone() const { return pointer == Py_None; }

  Object getAttr(const char *name) const {
    return take(PyObject_GetAttrString(pointer, name));
  }
  Object operator()(std::initializer_list<Object> arguments = {}) const;

private:
  PyObject *pointer = nullptr;
};

/// Releases Python's lock for as long as it lives.
class Unlocked {
public:
  Unlocked() : state(PyEval_SaveThread()) {}
  ~Unlocked() { PyEval_RestoreThread(state); }
  Unlocked(const Unlocked &) = delete;

private:
  PyThreadState *state;
};

/// Runs `body`, and returns the reference of its Object; null with an exception
/// set where it threw.
template <typename Body> PyObject *guard(Body body) noexcept {
  try {
    return body().release();
  } catch (Raised) {
  } catch (const std::bad_alloc &) {
    PyErr_NoMemory();
  } catch (const std::exception &error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  return nullptr;
}

//===----------------------------------------------------------------------===//
// Classes
//===----------------------------------------------------------------------===//

/// An object of the class that Python sees for a C++ type.
template <typename T> struct Instance {
  PyObject_HEAD;
  T *value;
};

/// The class for a C++ type, once the module has made it.
template <typename T> PyObject *classOf = nullptr;

/// Returns a new object of the class that owns `value`.
template <typename T> Object wrap(std::unique_ptr<T> value) {
  Object object = Object::take(PyType_GenericAlloc(
      reinterpret_cast<PyTypeObject *>(classOf<T>), /*nitems=*/0));
  reinterpret_cast<Instance<T> *>(object.get())->value = value.release();
  return object;
}

template <typename T> T &unwrap(PyObject *object) {
  int is = PyObject_IsInstance(object, classOf<T>);
  if (is < 0)
    throw Raised();
  if (!is)
    raiseTypeError("the argument is of another class than expected");
  return *reinterpret_cast<Instance<T> *>(object)->value;
}

template <typename T> void destroy(PyObject *self) {
  PyTypeObject *type = Py_TYPE(self);
  delete reinterpret_cast<Instance<T> *>(self)->value;
  reinterpret_cast<freefunc>(PyType_GetSlot(type, Py_tp_free))(self);
  Py_DECREF(type);
}

/// The constructor of a class whose objects only we make.
inline PyObject *refuseNew(PyTypeObject *, PyObject *, PyObject *) {
  PyErr_SetString(PyExc_TypeError,
                  "objects of this class are not made by hand");
  return nullptr;
}

/// A row of a table of methods, for a function of (self, arguments, keywords).
inline PyMethodDef method(const char *name, PyCFunctionWithKeywords function,
                          const char *doc) {
  return {name,
          reinterpret_cast<PyCFunction>(reinterpret_cast<void *>(function)),
          METH_VARARGS | METH_KEYWORDS, doc};
}

/// A row of a table of properties that cannot be set.
inline PyGetSetDef property(const char *name, getter get) {
  return {name, get, nullptr, nullptr, nullptr};
}

inline void addObject(PyObject *module, const char *name, Object value) {
  if (PyModule_AddObject(module, name, value.get()) < 0)
    throw Raised();
  value.release();
}

/// Makes the class `name` ("package.module.Class") and adds it to a module. The
/// tables must live as long as the process.
template <typename T>
void addClass(PyObject *module, const char *name, newfunc make,
              PyMethodDef *methods, PyGetSetDef *properties) {
  PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void *>(make)},
                         {Py_tp_dealloc, reinterpret_cast<void *>(&destroy<T>)},
                         {Py_tp_methods, methods},
                         {Py_tp_getset, properties},
                         {0, nullptr}};
  PyType_Spec spec = {name, sizeof(Instance<T>), 0, Py_TPFLAGS_DEFAULT, slots};
  Object made = Object::take(PyType_FromSpec(&spec));
  classOf<T> = Object(made).release();
  addObject(module, name + std::string_view(name).rfind('.') + 1, made);
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

/// Converts a Python object; specialized for the types that are needed.
template <typename T, typename = void> struct To;

template <typename T> T to(PyObject *object) { return To<T>::convert(object); }

template <> struct To<Object> {
  static Object convert(PyObject *object) { return Object::share(object); }
};

template <> struct To<bool> {
  static bool convert(PyObject *object) {
    if (object != Py_True && object != Py_False)
      raiseTypeError("expected True or False");
    return object == Py_True;
  }
};

template <typename T>
struct To<T,
          std::enable_if_t<std::is_integral_v<T> && !std::is_same_v<T, bool>>> {
  static T convert(PyObject *object) {
    if constexpr (std::is_unsigned_v<T> && sizeof(T) == 8) {
      Object index = Object::take(PyNumber_Index(object));
      auto value = PyLong_AsUnsignedLongLong(index.get());
      if (PyErr_Occurred())
        throw Raised();
      return value;
    } else {
      long long value = PyLong_AsLongLong(object);
      if (value == -1 && PyErr_Occurred())
        throw Raised();
      using Limits = std::numeric_limits<T>;
      if (value < (long long)Limits::min() || value > (long long)Limits::max())
        raise(PyExc_OverflowError,
              "the integer " + std::to_string(value) + " is out of range");
      return static_cast<T>(value);
    }
  }
};

template <> struct To<std::string> {
  static std::string convert(PyObject *object) {
    Py_ssize_t size = 0;
    const char *text = PyUnicode_AsUTF8AndSize(object, &size);
    if (!text)
      throw Raised();
    return std::string(text, size);
  }
};

template <typename T> struct To<std::optional<T>> {
  static std::optional<T> convert(PyObject *object) {
    return object == Py_None ? std::nullopt : std::optional(to<T>(object));
  }
};

/// Any sequence.
template <typename T> struct To<std::vector<T>> {
  static std::vector<T> convert(PyObject *object) {
    Py_ssize_t size = PySequence_Size(object);
    if (size < 0)
      throw Raised();
    std::vector<T> values;
    for (Py_ssize_t i = 0; i < size; ++i)
      values.push_back(
          to<T>(Object::take(PySequence_GetItem(object, i)).get()));
    return values;
  }
};

inline Object from(Object object) { return object; }
inline Object from(bool value) { return Object::take(PyBool_FromLong(value)); }
inline Object from(int64_t value) {
  return Object::take(PyLong_FromLongLong(value));
}
inline Object from(uint64_t value) {
  return Object::take(PyLong_FromUnsignedLongLong(value));
}
template <typename T> Object from(const std::vector<T> &values);
inline Object from(double value) {
  return Object::take(PyFloat_FromDouble(value));
}
inline Object from(const std::string &text) {
  return Object::take(PyUnicode_FromStringAndSize(text.data(), text.size()));
}
inline Object from(const char *text) { return from(std::string(text)); }

template <typename... Ts> Object makeTuple(const Ts &...values) {
  Object tuple = Object::take(PyTuple_New(sizeof...(values)));
  Py_ssize_t i = 0;
  auto put = [&](Object value) {
    if (PyTuple_SetItem(tuple.get(), i++, value.release()) < 0)
      throw Raised();
  };
  (put(from(values)), ...);
  return tuple;
}

/// A list.
template <typename T> Object from(const std::vector<T> &values) {
  Object list = Object::take(PyList_New(0));
  for (const T &value : values)
    if (PyList_Append(list.get(), from(value).get()) < 0)
      throw Raised();
  return list;
}

inline void setItem(const Object &dict, const char *key, const Object &value) {
  if (PyDict_SetItemString(dict.get(), key, value.get()) < 0)
    throw Raised();
}

inline std::string repr(PyObject *object) {
  return to<std::string>(Object::take(PyObject_Repr(object)).get());
}

inline Object
Object::operator()(std::initializer_list<Object> arguments) const {
  Object tuple = take(PyTuple_New(arguments.size()));
  Py_ssize_t i = 0;
  for (Object argument : arguments)
    PyTuple_SetItem(tuple.get(), i++, argument.release());
  return take(PyObject_Call(pointer, tuple.get(), nullptr));
}

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

/// The arguments of a call, each of which may be given by name. They are
/// borrowed from it.
class Arguments {
public:
  /// Raises TypeError where one of the first `required` is missing, and for
  /// what is none of `names`.
  Arguments(const char *function, std::initializer_list<const char *> names,
            size_t required, PyObject *positional, PyObject *named)
      : values(names.size(), nullptr) {
    auto count = static_cast<size_t>(PyTuple_Size(positional));
    if (count > names.size())
      raiseTypeError(std::string(function) + ": expected at most " +
                     std::to_string(names.size()) + " arguments, found " +
                     std::to_string(count));
    for (size_t i = 0; i < count; ++i)
      values[i] = PyTuple_GetItem(positional, i);
    size_t used = 0;
    for (size_t i = 0; i < names.size(); ++i) {
      const char *name = names.begin()[i];
      PyObject *value = named ? PyDict_GetItemString(named, name) : nullptr;
      used += value != nullptr;
      if (value && values[i])
        raiseTypeError(std::string(function) + ": " + name + " is given twice");
      if (value)
        values[i] = value;
      if (!values[i] && i < required)
        raiseTypeError(std::string(function) + ": " + name + " is missing");
    }
    if (named && used != static_cast<size_t>(PyDict_Size(named)))
      raiseTypeError(std::string(function) +
                     ": none of its arguments is called so: " + repr(named));
  }

  PyObject *operator[](size_t i) const { return values[i]; }
  template <typename T> T get(size_t i) const { return to<T>(values[i]); }
  template <typename T> T get(size_t i, T absent) const {
    return values[i] ? to<T>(values[i]) : std::move(absent);
  }

private:
  std::vector<PyObject *> values;
};

} // namespace wyvern::py

#endif // WYVERN_PYTHON_PY_H
