"""Label formats: one exact parser each, for data modules, conversion, verification and evaluators alike.

| format | parser |
| --- | --- |
| WIDER text, `wider_face_{split}_bbx_gt.txt` | `wider_text` |
| RetinaFace text | `retinaface_text` |
| WIDER MATLAB, `wider_face_{split}.mat` and the lists of `wider_{easy,medium,hard}_val.mat` | `wider_mat` |
| COCO, `instances_*.json` | `coco_json`, and for faces that are to be written back `face_coco` |

A parser keeps what is written. What training makes of it, float32 arrays, is in `faces` and `coco_objects`.
"""

from data_modules.errors import DataError

__all__ = ["DataError"]  # what every parser raises
