import numpy as np
import pytest

from framework.data import mnist, store


@pytest.fixture(scope='module')
def data():
  if not store.there(mnist.FILE):
    pytest.skip(f'no {mnist.FILE.name} in {store.folder()}')
  return mnist.load(train=1000, test=500)


def test_pixels_and_labels(data):
  assert data.x_train.shape == (1000, 784) and data.x_test.shape == (500, 784)
  assert data.x_train.dtype == np.float32 and data.y_train.dtype == np.int32
  assert data.x_train.min() == 0 and data.x_train.max() == 1
  assert set(data.y_train) == set(range(10))
  # The original order begins so.
  assert data.y_train[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]


def test_a_line_through_the_pixels_tells_digits_apart(data):
  x, y = data.x_train, np.eye(10)[data.y_train]
  w = np.linalg.solve(x.T @ x + 30 * np.eye(784), x.T @ y)
  hit = np.argmax(data.x_test @ w, 1) == data.y_test
  assert hit.mean() > 0.75


def test_too_many_images_are_refused(data):
  with pytest.raises(store.DataError, match='1 to 60000'):
    mnist.load(train=60_001)


def test_a_folder_without_the_file_is_refused(tmp_path):
  with pytest.raises(store.DataError, match=r'no mnist.npz in'):
    mnist.load(tmp_path)
